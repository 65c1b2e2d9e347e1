"""A server that does what a test tells it with every connection, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Sent:
    """One request: its head as it came, and its body."""

    head: bytes
    body: bytes

    @property
    def header_lines(self) -> list[bytes]:
        return sorted(self.head.split(b"\r\n")[1:])


class Talk:
    """One connection of a client."""

    def __init__(
        self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number
        self._script = script

    async def take(self) -> Sent:
        """Read one request, and keep it; ends the connection's script when there is none."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        body = await self._body(head.lower())
        sent = Sent(head, body)
        self._script.sent.append(sent)
        return sent

    def say(self, answer: bytes) -> None:
        self.writer.write(answer)

    def end_at_once(self, word: bytes) -> None:
        """Say a last word and close, past the loop: the client's socket has it when this returns."""
        mine = self.writer.get_extra_info("socket")
        with socket.fromfd(mine.fileno(), socket.AF_INET, socket.SOCK_STREAM) as ended:
            ended.sendall(word)
            ended.shutdown(socket.SHUT_RDWR)

    async def until_left(self) -> None:
        """Wait until the client closes the connection."""
        with suppress(ConnectionError):
            await self.reader.read()

    async def _body(self, head: bytes) -> bytes:
        if b"transfer-encoding: chunked" in head:
            return await self.reader.readuntil(b"0\r\n\r\n")
        length = [line for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
        return await self.reader.readexactly(int(length[0].partition(b":")[2])) if length else b""


Play = Callable[[Talk], Awaitable[None]]


@dataclass
class Script:
    """What a server was sent, and on how many connections."""

    play: Play
    url: str = ""
    sent: list[Sent] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0
    running: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(Talk(self, reader, writer, self.connections)))
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def _serve(self, talk: Talk) -> None:
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self.play(talk)
        finally:
            self.open -= 1
            talk.writer.close()
            with suppress(OSError):
                await talk.writer.wait_closed()


@asynccontextmanager
async def playing(play: Play, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Script]:
    """Serve on a free port of this machine while the block runs."""
    script = Script(play)
    server = await asyncio.start_server(script.accept, "127.0.0.1", 0, ssl=tls, backlog=1000)
    port = server.sockets[0].getsockname()[1]
    script.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    try:
        yield script
    finally:
        server.close()
        for task in script.running:
            task.cancel()
        await asyncio.gather(*script.running, return_exceptions=True)


def answering(answer: bytes = OK) -> Play:
    """Answer every request with the same bytes, and keep the connection."""

    async def play(talk: Talk) -> None:
        while True:
            await talk.take()
            talk.say(answer)

    return play


def breaking_off(answer: bytes) -> Play:
    """Answer one request with some bytes, and close the connection."""

    async def play(talk: Talk) -> None:
        await talk.take()
        talk.say(answer)

    return play


async def hanging(talk: Talk) -> None:
    """Take requests and never answer."""
    await talk.take()
    await talk.until_left()


async def aborting(talk: Talk) -> None:
    """Take a request and reset the connection."""
    await talk.take()
    talk.writer.transport.abort()
