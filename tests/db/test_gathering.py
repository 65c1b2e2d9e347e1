"""What is asked for at the same moment is done at once."""

from __future__ import annotations

import asyncio

import pytest

from server.db.gathering import Gathering
from server.errors import StoreUnavailableError


class Doubling:
    """Doubles numbers; holds each call until it is let go, and breaks on what is no number."""

    def __init__(self) -> None:
        self.calls: list[list[object]] = []
        self.may_go = asyncio.Event()

    async def __call__(self, items):
        self.calls.append(list(items))
        await self.may_go.wait()
        return [item * 2.0 for item in items]


async def ask_all(gathering, *items):
    """Ask the first, and while its call is held, the others."""
    asked = []
    for item in items:
        asked.append(asyncio.create_task(gathering.ask(item)))
        for _ in range(3):
            await asyncio.sleep(0)
    gathering._act.may_go.set()
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_what_comes_while_a_call_runs_shares_the_next():
    act = Doubling()

    answers = await ask_all(Gathering(act, most=10), 1, 2, 3)

    assert answers == [2, 4, 6]
    assert act.calls == [[1], [2, 3]]


async def test_a_call_holds_no_more_than_it_may_and_yet_a_heavy_item_passes():
    act = Doubling()

    await ask_all(Gathering(act, most=5, weigh=lambda item: item), 1, 2, 3, 9, 1)

    assert act.calls == [[1], [2, 3], [9], [1]]


async def test_an_item_that_breaks_a_call_fails_alone():
    answers = await ask_all(Gathering(Doubling(), most=10), 1, 2, "x", 3)

    assert [answers[0], answers[1], answers[3]] == [2, 4, 6]
    assert isinstance(answers[2], StoreUnavailableError)


async def test_a_store_that_is_away_is_told_to_all_and_asked_once():
    calls = []

    async def act(items):
        calls.append(list(items))
        raise StoreUnavailableError("away")

    gathering = Gathering(act, most=10)

    answers = await asyncio.gather(gathering.ask(1), gathering.ask(2), return_exceptions=True)

    assert [type(one) for one in answers] == [StoreUnavailableError] * 2
    assert calls == [[1, 2]]


async def test_one_who_gave_up_waiting_harms_nobody():
    act = Doubling()
    gathering = Gathering(act, most=10)
    gone, stays = asyncio.create_task(gathering.ask(1)), asyncio.create_task(gathering.ask(2))
    await asyncio.sleep(0)

    gone.cancel()
    act.may_go.set()

    assert await stays == 4
    with pytest.raises(asyncio.CancelledError):
        await gone
