"""A message that comes long after it was written joins what was said, and causes no second answer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.domains.messaging.rules import CAME_LATE
from tests.domains.messaging.conftest import PRICE_QUESTION


@pytest.mark.fault("F23")
async def test_what_was_written_an_hour_before_what_was_answered_is_a_persons_to_answer(shop):
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    await shop.deliver(shop.says(PRICE_QUESTION, ago=timedelta(hours=1)))
    await shop.settle()

    assert len(shop.phone.sent) == 1
    assert await shop.look("SELECT count(*) FROM message WHERE author = 'customer'") == 2
    assert ("done", CAME_LATE) in await shop.events()
    assert await shop.look("SELECT needs_person FROM conversation")


@pytest.mark.fault("F23")
async def test_what_comes_a_moment_out_of_order_is_answered(shop):
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    await shop.deliver(shop.says(PRICE_QUESTION, ago=timedelta(seconds=30)))
    await shop.settle()

    assert len(shop.phone.sent) == 2


async def test_what_comes_late_and_is_the_newest_is_answered(shop):
    await shop.deliver(shop.says(PRICE_QUESTION, ago=timedelta(hours=2)))
    await shop.settle()
    await shop.deliver(shop.says(PRICE_QUESTION, ago=timedelta(hours=1)))
    await shop.settle()

    assert len(shop.phone.sent) == 2
