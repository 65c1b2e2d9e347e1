"""Doing at once what was asked for at the same moment, as databases do in a group commit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeAlias, TypeVar

from server.errors import ProsaasError, StoreUnavailableError
from server.log import get_logger, where

log = get_logger(__name__)

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")
Act: TypeAlias = Callable[[Sequence[ItemT]], Awaitable[Sequence[AnswerT]]]


class Gathering(Generic[ItemT, AnswerT]):
    """Calls `act` with all that came while its last call ran: the busier it is, the more share one call.

    `act` returns one answer an item, in order. One call holds what weighs `most` together, or one
    item that weighs more. One call at a time: two made smaller batches, and cost more.
    """

    def __init__(
        self, act: Act[ItemT, AnswerT], *, most: int, weigh: Callable[[ItemT], int] = lambda _: 1
    ) -> None:
        self._act = act
        self._most = most
        self._weigh = weigh
        self._waiting: deque[tuple[ItemT, asyncio.Future[AnswerT]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def ask(self, item: ItemT) -> AnswerT:
        """Return the answer to an item; raise StoreUnavailableError when the call that held it failed."""
        return await self.tell(item)

    def tell(self, item: ItemT) -> asyncio.Future[AnswerT]:
        """Hand in an item and do not wait: the answer comes later, to whoever wants it."""
        answer: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._running is None or self._running.done():
            # In a context of its own: it works for many, not for whoever asked first.
            self._running = asyncio.create_task(self._run(), context=Context())
        return answer

    async def _run(self) -> None:
        while self._waiting:
            batch = self._take()
            try:
                await self._call(batch)
            except StoreUnavailableError as error:
                _refuse(batch, error)
            except Exception as error:  # noqa: BLE001 -- one item's content must not fail its neighbours
                log.error("batch_failed", items=len(batch), error=type(error).__name__, where=where(error))
                await self._call_one_by_one(batch)

    def _take(self) -> list[tuple[ItemT, asyncio.Future[AnswerT]]]:
        taken = [self._waiting.popleft()]
        weight = self._weigh(taken[0][0])
        while self._waiting and (weight := weight + self._weigh(self._waiting[0][0])) <= self._most:
            taken.append(self._waiting.popleft())
        return taken

    async def _call_one_by_one(self, batch: list[tuple[ItemT, asyncio.Future[AnswerT]]]) -> None:
        for one in batch:
            try:
                await self._call([one])
            except StoreUnavailableError as error:
                _refuse([one], error)
            except Exception as error:  # noqa: BLE001 -- told to whoever asked as not done, and recorded
                log.error("one_of_batch_failed", error=type(error).__name__, where=where(error))
                _refuse([one], StoreUnavailableError("it could not be stored"))

    async def _call(self, batch: list[tuple[ItemT, asyncio.Future[AnswerT]]]) -> None:
        answers = await self._act([item for item, _ in batch])
        for (_, answer), told in zip(batch, answers, strict=True):
            if not answer.done():
                answer.set_result(told)


def _refuse(batch: Sequence[tuple[ItemT, asyncio.Future[AnswerT]]], error: ProsaasError) -> None:
    for _, answer in batch:
        if not answer.done():
            answer.set_exception(error)
