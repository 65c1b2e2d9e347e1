"""Tasks end even where a library swallows their cancellation."""

from __future__ import annotations

import asyncio

from server import tasks


async def test_a_task_that_loses_its_first_cancellation_is_told_again():
    async def forgetful():
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as cancelled:
                last = cancelled
        raise last

    task = asyncio.create_task(forgetful())
    await asyncio.sleep(0)

    async with asyncio.timeout(5):
        [ended] = await tasks.end(task)

    assert isinstance(ended, asyncio.CancelledError)


async def test_what_tasks_returned_or_raised_comes_back_in_their_order():
    async def fail():
        raise ValueError

    async def succeed():
        return 1

    started = [asyncio.create_task(fail()), asyncio.create_task(succeed())]
    await asyncio.wait(started)

    failure, result = await tasks.end(*started)

    assert isinstance(failure, ValueError)
    assert result == 1
