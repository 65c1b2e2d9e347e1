"""Schedules as people have them: made, changed, paused, run by hand, recorded; each business its own."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from server.errors import BadInputError
from server.queue import schedules
from server.queue.catalog import ReplyDoubted, WebhookProcess, WhatsappSessionsCleanup
from server.queue.schedules import Actor
from server.queue.slots import CatchUp, Plan
from server.scheduler import ticks
from tests.engine import BUSINESS

DANA = Actor("Dana", "the shop is closed")
NOAS_BUSINESS = 7
HOURLY = Plan("0 * * * *", "Asia/Jerusalem", CatchUp.ALL)
EVERY_FIVE_MINUTES = "whatsapp_sessions_cleanup_job"
DEEDS = "SELECT deed, actor, reason FROM schedule_audit WHERE schedule = $1 ORDER BY id"


@pytest.fixture(autouse=True)
async def businesses(engine):
    await engine.look.execute("INSERT INTO business (id, name) VALUES (7, 'Noa')")
    await ticks.register(engine.scheduler, "UTC")


async def keep(engine, plan=HOURLY, *, facts=None, business=BUSINESS, key="stock", label="Count the stock"):
    async with engine.api.driver_transaction(business) as connection:
        name, _ = await schedules.keep(
            connection,
            WhatsappSessionsCleanup,
            facts or {},
            plan,
            business_id=business,
            key=key,
            label=label,
            by=DANA,
        )
    return name


async def go_back(engine, name, interval):
    await engine.look.execute(
        "UPDATE schedule SET watermark = now() - $2::interval, next_slot = now() - $2::interval"
        " WHERE name = $1",
        name,
        interval,
    )


async def slots(engine, name):
    return await engine.look.fetch("SELECT * FROM schedule_slot WHERE schedule = $1 ORDER BY slot", name)


async def row(engine, name):
    return await engine.look.fetchrow("SELECT * FROM schedule WHERE name = $1", name)


async def deeds(engine, name):
    return [tuple(one) for one in await engine.look.fetch(DEEDS, name)]


async def do(engine, deed, name, *, by=DANA, business=BUSINESS):
    async with engine.api.driver_transaction(business) as connection:
        return await deed(connection, name, by=by)


async def test_a_businesss_slots_become_its_own_jobs(engine):
    name = await keep(engine)
    await go_back(engine, name, timedelta(hours=3))

    await ticks.tick(engine.scheduler)

    found = await slots(engine, name)
    jobs = await engine.look.fetch("SELECT * FROM job WHERE business_id = $1 ORDER BY created_at", BUSINESS)
    assert [one["state"] for one in found] == ["enqueued"] * 3
    assert {one["id"] for one in jobs} == {one["job_id"] for one in found}
    assert {json.loads(one["payload"])["slot"][:13] for one in jobs} == {
        one["slot"].isoformat()[:13] for one in found
    }


async def test_a_changed_plan_begins_with_its_first_slot_from_now_and_what_was_due_before_is_kept(engine):
    name = await keep(engine)
    await go_back(engine, name, timedelta(hours=2))

    await keep(engine, Plan("30 5 * * *", "Europe/Paris"), label="Count it early")
    await ticks.tick(engine.scheduler)

    kept = await row(engine, name)
    assert [one["state"] for one in await slots(engine, name)] == ["enqueued"] * 2
    assert (kept["cron"], kept["zone"], kept["label"]) == ("30 5 * * *", "Europe/Paris", "Count it early")
    assert kept["next_slot"] > kept["updated_at"]
    assert [deed for deed, _, _ in await deeds(engine, name)] == ["made", "changed"]


async def test_a_plan_changed_while_the_clock_is_behind_begins_after_what_is_recorded(engine):
    name = await keep(engine, HOURLY)
    await go_back(engine, name, timedelta(hours=-5))
    before = await row(engine, name)

    await keep(engine, replace(HOURLY, cron="30 * * * *"))

    after = await row(engine, name)
    assert after["watermark"] == before["watermark"] < after["next_slot"]
    assert after["next_slot"].minute == 30


async def test_keeping_the_same_again_misses_and_doubles_nothing(engine):
    name = await keep(engine)
    await go_back(engine, name, timedelta(hours=2))

    await keep(engine)
    await keep(engine)
    await ticks.tick(engine.scheduler)

    assert len(await slots(engine, name)) == 2


@pytest.mark.parametrize(
    ("plan", "facts", "payload_type", "about"),
    [
        (Plan("every day", "UTC"), {}, WhatsappSessionsCleanup, "no cron expression"),
        (Plan("0 5 * * *", "Israel/Tel_Aviv"), {}, WhatsappSessionsCleanup, "no time zone"),
        (Plan("0 0 30 2 *", "UTC"), {}, WhatsappSessionsCleanup, "no cron expression"),
        (Plan("* * * * * *", "UTC"), {}, WhatsappSessionsCleanup, "once a minute at most"),
        (Plan("0 5 * * *", "UTC"), {"key": 5}, ReplyDoubted, "payload cannot be read"),
        (Plan("0 5 * * *", "UTC"), {"event_id": "no id"}, WebhookProcess, "payload cannot be read"),
    ],
)
async def test_what_cannot_be_kept_is_refused_and_nothing_is_there(engine, plan, facts, payload_type, about):
    with pytest.raises(BadInputError, match=about):
        async with engine.api.driver_transaction(BUSINESS) as connection:
            await schedules.keep(
                connection, payload_type, facts, plan, business_id=BUSINESS, key="x", label="x", by=DANA
            )

    assert await engine.look.fetchval("SELECT count(*) FROM schedule WHERE business_id IS NOT NULL") == 0


async def test_a_business_has_so_many_schedules_at_most(engine, monkeypatch):
    monkeypatch.setattr(schedules, "MOST_OF_A_BUSINESS", 2)
    for number in range(2):
        await keep(engine, key=str(number))

    with pytest.raises(BadInputError, match="2 schedules at most"):
        await keep(engine, key="one too many")
    await keep(engine, key="1")
    await keep(engine, key="another's", business=NOAS_BUSINESS)


async def test_slots_of_a_pause_are_skipped_with_its_reason_and_those_before_and_after_run(engine):
    name = await keep(engine)
    await go_back(engine, name, timedelta(hours=2))
    await do(engine, schedules.pause, name)
    await go_back(engine, name, timedelta(hours=1))
    await engine.look.execute("DELETE FROM schedule_slot WHERE slot > now() - interval '1 hour'")

    await do(engine, schedules.resume, name)
    await ticks.tick(engine.scheduler)

    told = [(one["state"], one["reason"]) for one in await slots(engine, name)]
    assert told == [("enqueued", None), ("skipped", "paused by Dana: the shop is closed")]
    assert [deed for deed, _, _ in await deeds(engine, name)] == ["made", "paused", "resumed"]


async def test_who_pauses_what_is_paused_is_told_so(engine):
    name = await keep(engine)
    await do(engine, schedules.pause, name)

    with pytest.raises(BadInputError, match="is paused already"):
        await do(engine, schedules.pause, name)
    await do(engine, schedules.resume, name)
    with pytest.raises(BadInputError, match="is not paused"):
        await do(engine, schedules.resume, name)


async def test_run_now_is_one_job_beside_the_plan_with_the_name_of_who_asked(engine):
    name = await keep(engine)
    before = await row(engine, name)

    [dispatch] = await do(engine, schedules.run_now, name)

    [slot] = await slots(engine, name)
    assert (slot["asked_by"], slot["reason"], slot["job_id"]) == (
        "Dana",
        "the shop is closed",
        dispatch.job_id,
    )
    after = await row(engine, name)
    assert (after["watermark"], after["next_slot"]) == (before["watermark"], before["next_slot"])
    assert ("run", "Dana", "the shop is closed") in await deeds(engine, name)
    assert (
        await engine.look.fetchval("SELECT business_id FROM job WHERE id = $1", dispatch.job_id) == BUSINESS
    )


async def test_a_run_asked_for_is_there_with_its_audit_or_not_at_all(engine):
    name = await keep(engine)

    with pytest.raises(RuntimeError, match="changed their mind"):
        async with engine.api.driver_transaction(BUSINESS) as connection:
            await schedules.run_now(connection, name, by=DANA)
            raise RuntimeError("changed their mind")

    assert await slots(engine, name) == []
    assert await engine.look.fetchval("SELECT count(*) FROM job") == 0


@pytest.mark.parametrize("deed", [schedules.pause, schedules.resume, schedules.run_now])
async def test_nobody_touches_what_is_anothers_or_the_installations(engine, deed):
    name = await keep(engine)
    for unreachable, business in ((name, NOAS_BUSINESS), (EVERY_FIVE_MINUTES, BUSINESS)):
        before = await row(engine, unreachable)

        with pytest.raises(BadInputError, match="no schedule"):
            await do(engine, deed, unreachable, business=business)

        assert await row(engine, unreachable) == before
        assert await slots(engine, unreachable) == []


async def test_a_business_sees_its_own_and_the_installations(engine):
    dana = await keep(engine)
    await keep(engine, business=NOAS_BUSINESS)

    async with engine.api.driver_transaction(BUSINESS) as connection:
        seen = {one["name"] for one in await schedules.listed(connection)}

    assert {dana, EVERY_FIVE_MINUTES} <= seen
    assert not any(f"-{NOAS_BUSINESS}-" in name for name in seen)


async def test_a_removed_schedule_is_gone_with_its_slots_while_its_jobs_and_its_audit_stay(engine):
    name = await keep(engine)
    await do(engine, schedules.run_now, name)

    assert await do(engine, schedules.remove, name)

    assert await row(engine, name) is None
    assert await slots(engine, name) == []
    assert await engine.look.fetchval("SELECT count(*) FROM job") == 1
    assert [deed for deed, _, _ in await deeds(engine, name)] == ["made", "run", "removed"]
    assert not await do(engine, schedules.remove, name)
    assert not await do(engine, schedules.remove, EVERY_FIVE_MINUTES)


async def test_the_list_says_what_came_last_what_comes_next_and_what_was_skipped(engine):
    name = await keep(engine, Plan("0 * * * *", "UTC", CatchUp.LATEST))
    await go_back(engine, name, timedelta(hours=3))
    await ticks.tick(engine.scheduler)

    async with engine.api.driver_transaction(BUSINESS) as connection:
        [one] = await schedules.listed(connection, name=name)
        skipped = await schedules.skipped(connection, name=name)

    assert one["last_slot"] < one["now"] < one["next_slot"]
    assert (one["skipped"], one["last_state"], one["job_state"], one["lag_s"]) == (2, "enqueued", "ready", 0)
    assert [each["reason"] for each in skipped] == ["a later slot stands for it"] * 2


async def test_nobody_keeps_time_until_a_scheduler_holds_the_lock(engine):
    assert await schedules.timekeeper(engine.redis) is None

    await engine.redis.set(schedules.LOCK_KEY, f"host:17:{uuid4().hex}")

    assert await schedules.timekeeper(engine.redis) == "host:17"
