"""The other side of the bench of HTTP: it answers every request with a few bytes."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

import uvloop

BODY = b'{"ok":true,"messageId":"3EB0C767D26A1D8E"}'
KEPT = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)
CLOSED = KEPT.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
# All of a burst are under way before the first of them is answered, as with a model that thinks.
ANSWERS_AFTER_S = 0.05


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one connection's requests."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            await asyncio.sleep(ANSWERS_AFTER_S)
            closes = b"connection: close" in head
            writer.write(CLOSED if closes else KEPT)
            if closes:
                break
    writer.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=1000)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
