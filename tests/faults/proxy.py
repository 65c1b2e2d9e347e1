"""A network between a process and a store, for tests that cut, silence and slow it down."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

CHUNK = 65536


class Proxy:
    """Passes bytes between a port of its own and a server's Unix socket, as long as it is allowed to.

    `cut` ends every connection and refuses new ones. A silence keeps connections open and lets
    nothing through, in one direction or in both: what is asked, what is answered.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._asked, self._answered = asyncio.Event(), asyncio.Event()
        self._is_cut = False
        self._words, self._passings = b"", 0
        self.delay_s = 0.0
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self.heal()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End everything."""
        self.cut()
        if self._server:
            self._server.close()
        await asyncio.gather(*self._links, return_exceptions=True)

    def cut(self) -> None:
        """End every connection, and every new one at once."""
        self._is_cut = True
        for link in self._links:
            link.cancel()

    def silence(self, *, asked: bool = True, answered: bool = True) -> None:
        """Let nothing through from now on: of what is asked, of what is answered, or of both."""
        if asked:
            self._asked.clear()
        if answered:
            self._answered.clear()

    def lose_answer_to(self, words: bytes, *, nth: int = 1) -> None:
        """Let the nth question with these words through, and end its connection instead of the answer."""
        self._words, self._passings = words, nth

    @property
    def has_lost_answer(self) -> bool:
        """Tell whether that has happened."""
        return bool(self._words) and self._passings <= 0

    def heal(self) -> None:
        """Let everything through again."""
        self._is_cut = False
        self._asked.set()
        self._answered.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("a connection is served by a task")
        self._links.add(task)
        task.add_done_callback(self._links.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError, ExceptionGroup):
            await self._serve(reader, writer)
        writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            return
        server_reader, server_writer = await asyncio.open_unix_connection(self._socket)
        try:
            lost = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ask(reader, server_writer, lost))
                group.create_task(self._answer(server_reader, writer, lost))
        finally:
            server_writer.transport.abort()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            if self._words and self._words in data:
                self._passings -= 1
                if self._passings == 0:
                    lost.set()
            await self._pass(data, writer, self._asked)
        raise ConnectionResetError("one side has closed")

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            if lost.is_set():
                raise ConnectionResetError("this answer is not to be heard")
            await self._pass(data, writer, self._answered)
        raise ConnectionResetError("one side has closed")

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter, allowed: asyncio.Event) -> None:
        await allowed.wait()
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def proxied(socket: Path) -> AsyncIterator[Proxy]:
    """Run a proxy before a server's socket."""
    proxy = Proxy(socket)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
