"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
from typing import Any

# How long a task has before it is told again.
TOLD_AGAIN_S = 0.5


async def end(*tasks: asyncio.Task[Any]) -> list[Any]:
    """Cancel tasks until each has ended; return what each returned or raised.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, on which the Redis client relies, loses a
    cancellation that comes at the moment at which what it waits for ends.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=TOLD_AGAIN_S)
    return await asyncio.gather(*tasks, return_exceptions=True)
