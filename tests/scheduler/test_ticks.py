"""Slots become rows with their jobs, each once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.queue.timekeeping import DUE, judge, record, schedule_of
from server.scheduler import ticks
from server.scheduler.schedule import TIMETABLE

LATER, TOO_OLD = "a later slot stands for it", "too old when a scheduler was there again"
OUTAGES = [
    (timedelta(minutes=5), 1, set()),
    (timedelta(hours=1), 12, {LATER}),
    (timedelta(hours=2), 24, {LATER}),
    (timedelta(days=2), 576, {LATER, TOO_OLD}),
]
EVERY_FIVE_MINUTES = "whatsapp_sessions_cleanup_job"


@pytest.fixture
async def registered(engine):
    await ticks.register(engine.scheduler, "UTC")
    return engine


async def go_back(engine, interval):
    await engine.look.execute(
        "UPDATE schedule SET (watermark, next_slot) = (now() - $1::interval, now() - $1::interval)",
        interval,
    )


async def slots(engine, name=EVERY_FIVE_MINUTES):
    return await engine.look.fetch("SELECT * FROM schedule_slot WHERE schedule = $1 ORDER BY slot", name)


async def test_a_new_entry_starts_with_its_next_slot(registered):
    tick = await ticks.tick(registered.scheduler)

    assert tick.dispatches == []
    assert await registered.look.fetchval("SELECT count(*) FROM schedule") == len(TIMETABLE)


async def test_a_due_slot_is_one_row_and_one_job(registered):
    await go_back(registered, timedelta(minutes=5))

    await ticks.tick(registered.scheduler)
    await ticks.tick(registered.scheduler)

    [slot] = await slots(registered)
    assert slot["state"] == "enqueued"
    assert (
        await registered.look.fetchval("SELECT kind FROM job WHERE id = $1", slot["job_id"])
        == EVERY_FIVE_MINUTES
    )


@pytest.mark.fault("F16")
async def test_five_schedulers_at_once_make_one_job_a_slot(registered):
    await go_back(registered, timedelta(minutes=5))

    await asyncio.gather(*(ticks.tick(registered.scheduler) for _ in range(5)))

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

    while (await ticks.tick(registered.scheduler)).is_more:
        pass

    rows = await slots(registered)
    assert len(rows) == missed
    # However long it was: one job, so no burst.
    assert [row["state"] for row in rows] == ["skipped"] * (missed - 1) + ["enqueued"]
    assert {row["reason"] for row in rows[:-1]} == reasons


async def test_the_slots_job_is_announced_and_reaches_redis(registered):
    await go_back(registered, timedelta(minutes=5))

    await registered.dispatcher.announce((await ticks.tick(registered.scheduler)).dispatches)
    await registered.dispatcher.flushed()

    assert await registered.redis.llen("rq:queue:maintenance") >= 1


BAD_ROWS = {
    "an expression that means nothing": "cron = 'every day'",
    "a zone that is no more": "zone = 'Mars/Olympus'",
    "a date that never comes": "cron = '0 0 30 2 *'",
    # Of every hour: a slot that is too old to run has no payload that could be refused.
    "a payload that its kind refuses": "kind = 'reply_doubted_job', cron = '0 * * * *'",
}


@pytest.mark.parametrize("broken", BAD_ROWS.values(), ids=BAD_ROWS.keys())
async def test_what_cannot_be_kept_is_set_aside_with_why_and_holds_back_no_other(registered, broken):
    await registered.look.execute(f"UPDATE schedule SET {broken} WHERE name = 'inbox_cleanup_job'")
    await go_back(registered, timedelta(days=1))

    await ticks.tick(registered.scheduler)

    assert len(await slots(registered)) > 1
    assert await slots(registered, "inbox_cleanup_job") == []
    [aside] = await registered.look.fetch("SELECT * FROM schedule WHERE trouble IS NOT NULL")
    assert (aside["name"], aside["next_slot"]) == ("inbox_cleanup_job", None)


async def test_what_was_set_aside_goes_on_once_it_is_put_right(registered):
    await registered.look.execute("UPDATE schedule SET cron = 'every day' WHERE name = 'inbox_cleanup_job'")
    await go_back(registered, timedelta(days=1))
    await ticks.tick(registered.scheduler)

    await ticks.register(registered.scheduler, "UTC")
    await ticks.tick(registered.scheduler)

    [slot] = await slots(registered, "inbox_cleanup_job")
    assert slot["state"] in {"enqueued", "skipped"}


async def test_a_schedule_of_a_release_to_come_waits_for_it(registered):
    await registered.look.execute("UPDATE schedule SET kind = 'future_job' WHERE name = 'inbox_cleanup_job'")
    await go_back(registered, timedelta(days=1))

    await ticks.tick(registered.scheduler)
    await ticks.register(registered.scheduler, "UTC")

    assert await registered.look.fetchval("SELECT count(*) FROM schedule WHERE trouble IS NOT NULL") == 0


async def test_what_left_the_timetable_is_enqueued_no_more_until_it_returns(registered, monkeypatch):
    shorter = [entry for entry in TIMETABLE if entry.kind.name != EVERY_FIVE_MINUTES]
    monkeypatch.setattr(ticks, "TIMETABLE", shorter)
    await ticks.register(registered.scheduler, "UTC")
    await registered.look.execute("UPDATE schedule SET watermark = now() - interval '10 minutes'")
    await ticks.tick(registered.scheduler)
    assert await slots(registered) == []

    monkeypatch.setattr(ticks, "TIMETABLE", TIMETABLE)
    await ticks.register(registered.scheduler, "UTC")
    await ticks.tick(registered.scheduler)

    assert [one["state"] for one in await slots(registered)] == ["skipped", "enqueued"]


async def test_another_zone_changes_the_slots_to_come_and_none_that_was(registered):
    daily = "SELECT next_slot FROM schedule WHERE name = 'inbox_cleanup_job'"
    await ticks.tick(registered.scheduler)
    in_utc = await registered.look.fetchval(daily)

    await ticks.register(registered.scheduler, "Asia/Kolkata")
    await ticks.tick(registered.scheduler)

    in_kolkata = await registered.look.fetchval(daily)
    assert (in_utc.hour, in_utc.minute) == (3, 30)
    assert (in_kolkata.hour, in_kolkata.minute) == (22, 0)
    assert await slots(registered, "inbox_cleanup_job") == []


@pytest.mark.fault("F17")
async def test_a_long_outage_is_worked_off_in_steps_and_each_slot_once(registered, monkeypatch):
    monkeypatch.setattr(ticks, "MOST_SLOTS", 100)
    await go_back(registered, timedelta(days=2))

    steps = 0
    while (await ticks.tick(registered.scheduler)).is_more:
        steps += 1
        assert steps < 100, "it comes to an end"

    assert steps > 5
    assert len(await slots(registered)) == 576


@pytest.mark.fault("F16")
async def test_who_read_before_a_pause_and_records_after_it_records_nothing(registered):
    await go_back(registered, timedelta(minutes=5))
    async with registered.scheduler.driver() as connection:
        rows = await connection.fetch(DUE, [EVERY_FIVE_MINUTES], 10)
        judged = judge(schedule_of(rows[0]), now=rows[0]["now"], most=10)
        await connection.execute("UPDATE schedule SET revision = revision + 1")

        recorded = await record(connection, [judged])

    assert recorded == []
    assert await slots(registered) == []
