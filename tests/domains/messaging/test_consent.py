"""A customer who wants no marketing says so once, hears it once, and is heard wherever they say it."""

from __future__ import annotations

from tests.domains.messaging.conftest import PRICE_QUESTION

MARKETING = "SELECT value, wording, source FROM consent ORDER BY position"


async def test_stop_is_noted_and_confirmed_once_and_the_assistant_says_nothing_else(shop):
    [event_id] = await shop.deliver(shop.says("STOP."))
    await shop.settle()
    run = await shop.again(event_id)
    await shop.end(run)

    assert await shop.rows(MARKETING) == [("withdrawn", "STOP.", "message")]
    assert len(shop.phone.sent) == 1
    assert "no more marketing" in shop.phone.texts[0]


async def test_whoever_stopped_is_still_answered(shop):
    await shop.deliver(shop.says("הסר"))
    await shop.settle()
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    assert len(shop.phone.sent) == 2
    assert "START" in shop.phone.texts[0]


async def test_start_brings_back_only_whom_stop_had_taken_off(shop):
    await shop.deliver(shop.says("start"))
    await shop.settle()
    assert await shop.rows(MARKETING) == []
    await shop.deliver(shop.says("stop"))
    await shop.settle()
    await shop.deliver(shop.says("start"))
    await shop.settle()

    assert [row[0] for row in await shop.rows(MARKETING)] == ["withdrawn", "granted"]
