"""Slots become rows with their jobs, each once."""

from __future__ import annotations

import asyncio
from zoneinfo import ZoneInfo

import pytest

from server.scheduler import ticks
from server.scheduler.schedule import TIMETABLE

UTC_ZONE = ZoneInfo("UTC")
LATER, TOO_OLD = "a later slot stands for it", "too old when a scheduler was there again"
OUTAGES = [
    ("5 minutes", 1, set()),
    ("1 hour", 12, {LATER}),
    ("2 hours", 24, {LATER}),
    ("2 days", 576, {LATER, TOO_OLD}),
]
EVERY_FIVE_MINUTES = "whatsapp_sessions_cleanup_job"


@pytest.fixture
async def registered(engine):
    await ticks.register(engine.scheduler)
    return engine


async def go_back(engine, interval):
    await engine.look.execute(f"UPDATE schedule SET watermark = now() - interval '{interval}'")


async def slots(engine, name=EVERY_FIVE_MINUTES):
    return await engine.look.fetch("SELECT * FROM schedule_slot WHERE schedule = $1 ORDER BY slot", name)


async def test_a_new_entry_starts_with_its_next_slot(registered):
    dispatches = await ticks.tick(registered.scheduler, UTC_ZONE)

    assert dispatches == []
    assert await registered.look.fetchval("SELECT count(*) FROM schedule") == len(TIMETABLE)


async def test_a_due_slot_is_one_row_and_one_job(registered):
    await go_back(registered, "5 minutes")

    await ticks.tick(registered.scheduler, UTC_ZONE)
    await ticks.tick(registered.scheduler, UTC_ZONE)

    [slot] = await slots(registered)
    assert slot["state"] == "enqueued"
    assert (
        await registered.look.fetchval("SELECT kind FROM job WHERE id = $1", slot["job_id"])
        == EVERY_FIVE_MINUTES
    )


@pytest.mark.fault("F16")
async def test_five_schedulers_at_once_make_one_job_a_slot(registered):
    await go_back(registered, "5 minutes")

    await asyncio.gather(*(ticks.tick(registered.scheduler, UTC_ZONE) for _ in range(5)))

    assert len(await slots(registered)) == 1
    assert (
        await registered.look.fetchval(f"SELECT count(*) FROM job WHERE kind = '{EVERY_FIVE_MINUTES}'") == 1
    )


@pytest.mark.fault("F17")
@pytest.mark.parametrize(("outage", "missed", "reasons"), OUTAGES)
async def test_after_an_outage_the_latest_slot_runs_and_the_others_say_why_not(
    registered, outage, missed, reasons
):
    await go_back(registered, outage)

    await ticks.tick(registered.scheduler, UTC_ZONE)

    rows = await slots(registered)
    assert len(rows) == missed
    # However long it was: one job, so no burst.
    assert [row["state"] for row in rows] == ["skipped"] * (missed - 1) + ["enqueued"]
    assert {row["reason"] for row in rows[:-1]} == reasons


async def test_the_slots_job_is_announced_and_reaches_redis(registered):
    await go_back(registered, "5 minutes")

    await registered.dispatcher.announce(await ticks.tick(registered.scheduler, UTC_ZONE))
    await registered.dispatcher.flushed()

    assert await registered.redis.llen("rq:queue:maintenance") >= 1
