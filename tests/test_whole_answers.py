"""Answers that leave whole."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
import uvicorn

from server.listening import listen
from server.whole_answers import Joining, WholeAnswers

HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]}


class Wire(asyncio.Transport):
    """A transport that remembers what was written to it, write by write."""

    def __init__(self):
        super().__init__()
        self.written = []
        self.closed = False

    def write(self, data):
        self.written.append(bytes(data))

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed


async def test_a_head_leaves_with_its_body_in_one_write():
    wire = Wire()
    joining = Joining(wire)

    joining.write(b"head ")
    joining.write(b"body")

    assert wire.written == [b"head body"]


async def test_a_head_that_nothing_follows_leaves_when_the_loop_turns():
    wire = Wire()
    joining = Joining(wire)

    joining.write(b"head")
    assert wire.written == []
    await asyncio.sleep(0)

    assert wire.written == [b"head"]


async def test_many_chunks_at_once_leave_in_order_and_one_at_most_is_held():
    wire = Wire()
    joining = Joining(wire)
    chunks = [b"%d," % number for number in range(101)]

    for number, chunk in enumerate(chunks, 1):
        joining.write(chunk)
        assert len(b"".join(wire.written)) >= len(b"".join(chunks[: number - 1]))
    await asyncio.sleep(0)

    assert b"".join(wire.written) == b"".join(chunks)


async def test_what_is_held_is_written_before_the_connection_closes():
    wire = Wire()
    joining = Joining(wire)

    joining.write(b"head")
    joining.close()
    await asyncio.sleep(0)

    assert (wire.written, wire.closed, joining.is_closing()) == ([b"head"], True, True)


@asynccontextmanager
async def served(app):
    config = uvicorn.Config(app, http=WholeAnswers, lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    sockets = listen("127.0.0.1", 0, "PORT")
    serving = asyncio.create_task(server._serve(sockets))
    try:
        yield sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def slowly(_scope, _receive, send):
    await send(HEAD)
    for part in (b"o", b"n", b"e"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": b"!"})


async def at_once(_scope, _receive, send):
    await send(HEAD)
    await send({"type": "http.response.body", "body": b"one!"})


@pytest.mark.parametrize("app", [slowly, at_once])
async def test_a_connection_carries_one_answer_after_another(app):
    async with served(app) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(4) == b"one!"
        writer.close()
