"""Reading bodies."""

from __future__ import annotations

import asyncio

import pytest

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
