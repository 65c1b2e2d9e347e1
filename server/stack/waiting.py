"""Waiting for something to become true, with a deadline and without a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from server.errors import StartRefusedError
from server.stack.child import Child

_FIRST_LOOK_S = 0.02
_LOOK_AT_MOST_EVERY_S = 0.2


async def poll(is_true: Callable[[], Awaitable[bool]], *, within_s: float) -> bool:
    """Ask until the answer is yes; False when the time is over."""
    deadline = asyncio.get_running_loop().time() + within_s
    pause_s = _FIRST_LOOK_S
    while not await is_true():
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LOOK_AT_MOST_EVERY_S)
    return True


async def until_ready(child: Child, *, within_s: float) -> None:
    """Wait for a child to answer; raise StartRefusedError when it ends or stays silent."""
    name = child.program.name

    async def answers_or_ended() -> bool:
        return child.exit_code is not None or await child.program.ready()

    answered = await poll(answers_or_ended, within_s=within_s)
    if child.exit_code is not None:
        raise StartRefusedError(f"{name} ended while starting (exit code {child.exit_code}).")
    if not answered:
        raise StartRefusedError(f"{name} did not answer within {within_s:.0f} s of its start.")
