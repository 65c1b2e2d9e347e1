"""Several lines in a row are one thought: they get one answer, to all of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.domains.messaging import intake
from tests.domains.messaging.conftest import PRICE, PRICE_QUESTION
from tests.engine import eventually


@pytest.fixture
def half_a_second_of_quiet(monkeypatch):
    monkeypatch.setattr(intake, "QUIET", timedelta(seconds=0.5))


async def write_quickly(shop, *lines: str) -> None:
    """Write as people do, a moment between two lines, while a worker runs."""
    async with shop.engine.working(outside=shop.outside, lease_s=10):
        for line in lines:
            await shop.deliver(shop.says(line))
            await asyncio.sleep(0.1)
        await eventually(lambda: nothing_is_left(shop))


async def nothing_is_left(shop) -> bool:
    return bool(await shop.look("SELECT count(*) = 0 FROM job WHERE state <> 'done'"))


async def test_lines_written_in_a_row_get_one_answer(shop, half_a_second_of_quiet):
    await write_quickly(shop, "Hi", "I am outside", PRICE_QUESTION)

    assert [PRICE in text for text in shop.phone.texts] == [True]
    assert await shop.look("SELECT count(*) FROM message WHERE author = 'customer'") == 3


async def test_a_question_is_answered_though_thanks_came_right_after_it(shop, half_a_second_of_quiet):
    await write_quickly(shop, PRICE_QUESTION, "thanks!")

    assert [PRICE in text for text in shop.phone.texts] == [True]


async def test_a_line_that_cannot_be_answered_does_not_spoil_the_next(shop, half_a_second_of_quiet):
    await write_quickly(shop, "My cat sleeps on the blue sofa all day long", PRICE_QUESTION)

    assert [PRICE in text for text in shop.phone.texts] == [True]


async def test_a_message_that_waited_already_is_answered_at_once(shop, monkeypatch):
    monkeypatch.setattr(intake, "QUIET", timedelta(minutes=5))
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.engine.look.execute("UPDATE inbox_event SET received_at = now() - interval '1 hour'")

    async with asyncio.timeout(5):
        await shop.handle(event_id)

    assert len(shop.phone.sent) == 1


async def test_what_was_answered_before_is_not_asked_again(shop):
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    await shop.deliver(shop.says("thanks!"))
    await shop.settle()

    assert [PRICE in text for text in shop.phone.texts] == [True, False]
