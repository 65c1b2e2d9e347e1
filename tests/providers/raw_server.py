"""A server of raw bytes on a real socket, for the answers that no well-behaved server gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import orjson

HANG = None


@dataclass
class RawServer:
    """Answers every request with `answer`: bytes, b"" to close without a word, None never to answer."""

    url: str = ""
    answer: bytes | None = b""
    bodies: list[bytes] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)

    def says(self, status: int, body: object = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(content)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.answer = ("\r\n".join(lines) + "\r\n\r\n").encode() + content

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(line.split(":")[1] for line in head.splitlines() if line.startswith("content-length"))
        self.heads.append(head)
        self.bodies.append(await reader.readexactly(int(length)))
        if self.answer is HANG:
            await reader.read()
        else:
            writer.write(self.answer or b"")


@asynccontextmanager
async def raw_server() -> AsyncIterator[RawServer]:
    """Serve on a free port of this machine while the block runs."""
    raw = RawServer()
    running: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(raw.serve(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    raw.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield raw
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
