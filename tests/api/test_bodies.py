"""Reading bodies."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import ClientDisconnect

from server.api import bodies


async def never():
    await asyncio.Event().wait()


async def test_a_body_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(bodies, "MOST_SECONDS", 0.05)

    with pytest.raises(bodies.TooSlowError):
        await bodies.read_object(never, b"10")


@pytest.mark.parametrize("told_size", [b"3145729", b"9" * 5000, b"0" * 5000 + b"1"])
async def test_a_size_over_the_limit_is_refused_before_anything_is_read(told_size):
    with pytest.raises(bodies.TooLargeError):
        await bodies.read_object(never, told_size)


async def test_a_body_that_comes_in_pieces_is_read_to_its_end():
    pieces = [b"{", b'"a"', b": 1}"]

    async def receive():
        await asyncio.sleep(0)
        chunk = pieces.pop(0)
        await asyncio.sleep(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(pieces)}

    assert await bodies.read_object(receive, b"8") == {"a": 1}


async def test_a_sender_who_leaves_in_the_midst_of_a_body_is_told_apart_from_a_slow_one():
    async def receive():
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await bodies.read_object(receive, b"8")


async def test_whoever_reads_a_body_can_be_cancelled():
    heard = []

    async def receive():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    reading = asyncio.create_task(bodies.read_object(receive, b"8"))
    await asyncio.sleep(0)
    reading.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reading
    assert heard == ["cancelled"]
