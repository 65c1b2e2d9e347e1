"""Doing at once what was asked for at the same moment, as databases do in a group commit."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextvars import Context
from typing import Generic, TypeAlias, TypeVar

from server.errors import ProsaasError, StoreUnavailableError
from server.log import get_logger, where

log = get_logger(__name__)

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")
_Asked: TypeAlias = tuple[ItemT, asyncio.Future[AnswerT]]
Act: TypeAlias = Callable[[Sequence[ItemT]], Awaitable[Sequence[AnswerT]]]


class Gathering(Generic[ItemT, AnswerT]):
    """Calls `act` with all that came while its last call ran: the busier it is, the more share one call.

    `act` returns one answer an item, in order. One call holds what weighs `most` together, or one
    item that weighs more. One call at a time: two make smaller batches, and cost more. Yet while all that
    could be asked waits for one, nobody is served: once `second_at` items wait, a second call goes beside
    the first. Items with one of their `lines` in common are never in both, and keep their order.
    """

    def __init__(
        self,
        act: Act[ItemT, AnswerT],
        *,
        most: int,
        weigh: Callable[[ItemT], int] = lambda _: 1,
        second_at: float = math.inf,
        lines: Callable[[ItemT], Collection[str]] = lambda _: (),
    ) -> None:
        self._act = act
        self._most = most
        self._weigh = weigh
        self._second_at = second_at
        self._lines = lines
        self._waiting: deque[_Asked[ItemT, AnswerT]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._calls = 0
        self._lines_under_way: set[str] = set()

    async def ask(self, item: ItemT) -> AnswerT:
        """Return the answer to an item; raise StoreUnavailableError when the call that held it failed."""
        return await self.tell(item)

    def tell(self, item: ItemT) -> asyncio.Future[AnswerT]:
        """Hand in an item and do not wait: the answer comes later, to whoever wants it."""
        answer: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._calls == 0 or (self._calls == 1 and len(self._waiting) >= self._second_at):
            self._calls += 1
            # In a context of its own: it works for many, not for whoever asked first.
            running = asyncio.create_task(self._run(), context=Context())
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        return answer

    async def _run(self) -> None:
        try:
            while batch := self._take():
                lines = [line for item, _ in batch for line in self._lines(item)]
                self._lines_under_way.update(lines)
                try:
                    await self._call_all(batch)
                finally:
                    self._lines_under_way.difference_update(lines)
        finally:
            self._calls -= 1

    def _take(self) -> list[_Asked[ItemT, AnswerT]]:
        """Return what the next call holds; nothing where the call beside this one sees to what waits."""
        if self._calls > 1 and len(self._waiting) < self._second_at:
            return []
        taken: list[_Asked[ItemT, AnswerT]] = []
        later: list[_Asked[ItemT, AnswerT]] = []
        passed_over = set(self._lines_under_way)
        weight = 0
        while self._waiting:
            item, _ = self._waiting[0]
            lines = self._lines(item)
            if not passed_over.isdisjoint(lines):
                passed_over.update(lines)
                later.append(self._waiting.popleft())
                continue
            weight += self._weigh(item)
            if taken and weight > self._most:
                break
            taken.append(self._waiting.popleft())
        self._waiting.extendleft(reversed(later))
        return taken

    async def _call_all(self, batch: list[_Asked[ItemT, AnswerT]]) -> None:
        try:
            await self._call(batch)
        except StoreUnavailableError as error:
            _refuse(batch, error)
        except Exception as error:  # noqa: BLE001 -- one item's content must not fail its neighbours
            log.error("batch_failed", items=len(batch), error=type(error).__name__, where=where(error))
            await self._call_one_by_one(batch)

    async def _call_one_by_one(self, batch: list[_Asked[ItemT, AnswerT]]) -> None:
        for one in batch:
            try:
                await self._call([one])
            except StoreUnavailableError as error:
                _refuse([one], error)
            except Exception as error:  # noqa: BLE001 -- told to whoever asked as not done, and recorded
                log.error("one_of_batch_failed", error=type(error).__name__, where=where(error))
                _refuse([one], StoreUnavailableError("it could not be stored"))

    async def _call(self, batch: list[_Asked[ItemT, AnswerT]]) -> None:
        answers = await self._act([item for item, _ in batch])
        for (_, answer), told in zip(batch, answers, strict=True):
            if not answer.done():
                answer.set_result(told)


def _refuse(batch: Sequence[tuple[ItemT, asyncio.Future[AnswerT]]], error: ProsaasError) -> None:
    for _, answer in batch:
        if not answer.done():
            answer.set_exception(error)
