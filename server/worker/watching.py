"""Who has the loop: every step of a job's tasks is noted on the board, so that a crash has a name."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any

from server.worker.board import NOBODY, Board

# Set in the context of a job's task; the tasks that its handler starts inherit it.
SLOT: ContextVar[int] = ContextVar("slot", default=NOBODY)

TaskFactory = Callable[..., "asyncio.Task[Any]"]


def watching(board: Board) -> TaskFactory:
    """Return a task factory that notes on the board each step of a task that belongs to a job."""

    def make(
        loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **how: Any
    ) -> asyncio.Task[Any]:
        context = how.get("context")
        slot = SLOT.get() if context is None else context.get(SLOT, NOBODY)
        if slot == NOBODY:
            return asyncio.Task(coroutine, loop=loop, **how)
        return asyncio.Task(_watched(coroutine, board, slot), loop=loop, **how)

    return make


async def _watched(coroutine: Coroutine[Any, Any, Any], board: Board, slot: int) -> Any:
    return await _steps(coroutine, board, slot)


@types.coroutine
def _steps(coroutine: Coroutine[Any, Any, Any], board: Board, slot: int) -> Generator[Any, Any, Any]:
    value: Any = None
    error: BaseException | None = None
    while True:
        board.enter(slot)
        try:
            waits_for = coroutine.send(value) if error is None else coroutine.throw(error)
        except StopIteration as end:
            return end.value
        finally:
            board.enter(NOBODY)
        value = error = None
        try:
            value = yield waits_for
        except BaseException as thrown:  # noqa: BLE001 -- handed on to the coroutine, cancellations too
            error = thrown
