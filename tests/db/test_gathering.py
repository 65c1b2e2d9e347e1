"""What is asked for at the same moment is done at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict

import pytest

from server.db.gathering import Gathering
from server.errors import StoreUnavailableError

CALL = "call"


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


class Steps:
    """Holds each call until it is let go by its place, and answers with that place."""

    def __init__(self) -> None:
        self.calls: list[list[object]] = []
        self._gates: list[asyncio.Event] = []

    async def __call__(self, items):
        place = len(self.calls)
        self.calls.append(list(items))
        self._gates.append(asyncio.Event())
        await self._gates[place].wait()
        return [place] * len(items)

    async def let_go(self, place):
        self._gates[place].set()
        await turns()


async def turns():
    for _ in range(5):
        await asyncio.sleep(0)


async def tell_in_turn(gathering, *items):
    told = []
    for item in items:
        told.append(gathering.tell(item))
        await turns()
    return told


async def test_once_enough_waits_a_second_call_goes_beside_the_first_and_never_a_third():
    act = Steps()
    gathering = Gathering(act, most=10, second_at=2)

    told = await tell_in_turn(gathering, *"abcdefg")

    assert act.calls == [["a"], ["b", "c"]]
    await act.let_go(1)
    assert act.calls[2:] == [["d", "e", "f", "g"]]
    await act.let_go(0)
    await act.let_go(2)
    assert [await one for one in told] == [0, 1, 1, 2, 2, 2, 2]


async def test_a_second_call_leaves_what_is_little_to_the_first():
    act = Steps()
    gathering = Gathering(act, most=10, second_at=2)
    told = await tell_in_turn(gathering, *"abcd")

    await act.let_go(1)
    assert act.calls == [["a"], ["b", "c"]]
    await act.let_go(0)
    assert act.calls[2:] == [["d"]]
    await act.let_go(2)

    assert [await one for one in told] == [0, 1, 1, 2]


async def test_what_shares_a_line_is_never_in_two_calls_at_once_and_keeps_its_order():
    act = Steps()
    gathering = Gathering(act, most=10, second_at=2, lines=lambda item: item[:-1])

    told = await tell_in_turn(gathering, "x1", "x2", "xy3", "y4", "z5", "x6")

    # What waits behind another item of its line waits with it, though that line is in no call.
    assert act.calls == [["x1"], ["z5"]]
    await act.let_go(1)
    await act.let_go(0)
    assert act.calls[2:] == [["x2", "xy3", "y4", "x6"]]
    await act.let_go(2)
    assert [await one for one in told] == [0, 2, 2, 2, 1, 2]


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_comes_is_answered_once_and_lines_never_cross(seed):
    chance = random.Random(seed)
    under_way: Counter[str] = Counter()
    stored: dict[str, list[int]] = defaultdict(list)
    beside: list[int] = []
    crossed: list[str] = []

    async def act(items):
        lines = {line for _, of in items for line in of}
        # Noted, not raised: what an act raises is taken for an item's fault.
        crossed.extend(line for line in lines if under_way[line])
        under_way.update([*lines, CALL])
        beside.append(under_way[CALL])
        for number, of in items:
            for line in of:
                stored[line].append(number)
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        under_way.subtract([*lines, CALL])
        if chance.random() < 0.2:
            raise StoreUnavailableError("away")
        return [number for number, _ in items]

    gathering = Gathering(act, most=8, second_at=3, lines=lambda item: item[1])
    told = []
    for number in range(300):
        told.append(gathering.tell((number, chance.sample("abcdef", chance.randint(1, 2)))))
        if chance.random() < 0.5:
            await asyncio.sleep(0)
    answers = await asyncio.wait_for(asyncio.gather(*told, return_exceptions=True), 10)

    assert all(
        answer == number or isinstance(answer, StoreUnavailableError) for number, answer in enumerate(answers)
    )
    assert max(beside) == 2
    assert crossed == []
    assert all(numbers == sorted(numbers) for numbers in stored.values())
    assert len({number for numbers in stored.values() for number in numbers}) == len(told)
