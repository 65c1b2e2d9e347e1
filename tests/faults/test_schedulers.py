"""F11–F17: real schedulers that are killed, frozen and cut off; each slot becomes one row, and is on time."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta

import asyncpg
import httpx
import pytest

from server.queue.schedules import LOCK_KEY
from server.queue.slots import CatchUp
from tests.engine import eventually
from tests.faults.clocks import clocks, needs_libfaketime
from tests.faults.seconds import asked, begin, cycles, holder, is_alive, json_of, until_held

pytestmark = pytest.mark.slow

# What the product promises of its settings as they are, not of a test's short ones.
AS_SHIPPED = {"SCHEDULER_LOCK_TTL_S": "12", "SCHEDULER_CYCLE_S": "1"}
TAKEOVER_S = 15
# Of a slot while somebody else is there to record it.
LATE_S = 2.0
MILLION = 1_000_000
BACKLOG = """
INSERT INTO job (id, business_id, kind, payload, queue, urgency)
SELECT 'inbox_cleanup_job-6-' || n, 6, 'inbox_cleanup_job', '{"slot": "2026-01-01T00:00:00Z"}',
       'maintenance', 4
FROM generate_series(1, $1::int) AS n
"""
IS_HANDED_OVER = "SELECT dispatched_at IS NOT NULL FROM job WHERE id = 'inbox_cleanup_job-6-1'"
LONGEST_AGE = timedelta(hours=12)
OUTAGES = """
INSERT INTO schedule (name, business_id, label, kind, cron, zone, catch_up, longest_age_s,
                      watermark, next_slot)
SELECT policy || ' after ' || outage.told, 6, 'An outage', 'login_cleanup_job', '* * * * *', 'UTC', policy,
       43200, now() - lasted, now() - lasted
FROM (VALUES ('0:02:00', interval '2 minutes'), ('2:00:00', '2 hours'), ('2 days, 0:00:00', '2 days'))
     AS outage (told, lasted), unnest('{all, latest, none}'::text[]) AS policy
RETURNING now()
"""
ALL_CAUGHT_UP = "SELECT min(next_slot) > now() FROM schedule WHERE business_id = 6"


async def start(house, count, **environment):
    await asyncio.gather(*(house.start("scheduler", **environment) for _ in range(count)))


async def kill(house, child):
    house.running["scheduler"].remove(child)
    child.kill()
    await child.wait()


@pytest.mark.fault("F16")
@pytest.mark.parametrize(("count", "kills"), [(1, 1), (2, 2), (5, 4)])
async def test_of_one_two_or_five_schedulers_most_are_killed_and_every_slot_is_one_row(stopped, count, kills):
    await start(stopped, count)
    timetable = await begin(stopped)
    await timetable.goes_on(for_s=1)
    since = await timetable.now()

    for _ in range(kills):
        await kill(stopped, await until_held(stopped))
        if not stopped.running["scheduler"]:
            await start(stopped, 1)
        await timetable.goes_on(for_s=1)

    lateness_s = await timetable.is_whole(since=since)
    assert lateness_s < LATE_S or kills >= count


@pytest.mark.fault("F16")
async def test_after_a_kill_another_has_the_lock_within_fifteen_seconds_and_no_slot_waits_for_it(stopped):
    await start(stopped, 2, **AS_SHIPPED)
    timetable = await begin(stopped)
    await timetable.goes_on(for_s=1)
    since = await timetable.now()

    victim = await until_held(stopped)
    await kill(stopped, victim)

    await until_held(stopped, but_not_by=victim, within_s=TAKEOVER_S)
    await timetable.goes_on(for_s=1)
    assert await timetable.is_whole(since=since) < LATE_S


@pytest.mark.fault("F16")
async def test_a_holder_frozen_for_longer_than_its_lock_is_stood_in_for_and_wakes_as_a_standby(stopped):
    await start(stopped, 2)
    timetable = await begin(stopped)
    await timetable.goes_on(for_s=1)
    since, frozen = await timetable.now(), await until_held(stopped)

    os.kill(frozen.pid, signal.SIGSTOP)
    with pytest.raises(httpx.TimeoutException):
        await asked(stopped, frozen, "/healthz", timeout_s=1)
    other = await until_held(stopped, but_not_by=frozen)
    await timetable.goes_on(for_s=1)
    os.kill(frozen.pid, signal.SIGCONT)

    awake = await cycles(stopped, frozen)
    await eventually(lambda: has_looked_on(stopped, frozen, awake), what="five cycles of a standby")
    assert (await cycles(stopped, frozen))["done"] <= awake["done"] + 1
    assert await holder(stopped) is other
    assert await is_alive(stopped, frozen)
    assert await timetable.is_whole(since=since) < LATE_S


async def has_looked_on(house, child, before):
    return (await cycles(house, child))["standby"] >= before["standby"] + 5


@pytest.mark.fault("F16")
async def test_a_lock_that_is_deleted_or_taken_by_hand_costs_no_slot_and_doubles_none(stopped):
    await start(stopped, 3)
    timetable = await begin(stopped)
    await timetable.goes_on(for_s=1)
    since = await timetable.now()

    for _ in range(20):
        await stopped.redis("DEL", LOCK_KEY)
        await timetable.goes_on(for_s=0)
    # Somebody who is nobody: it neither renews nor releases it.
    await stopped.redis("SET", LOCK_KEY, "nobody:1:0", "PX", 90_000)
    await stopped.value(BACKLOG, 1)
    await eventually(lambda: stopped.value(IS_HANDED_OVER), what="a due job that is handed over")
    await timetable.goes_on(for_s=2)
    assert await stopped.redis("GET", LOCK_KEY) == b"nobody:1:0"

    await stopped.redis("DEL", LOCK_KEY)
    await until_held(stopped)
    assert await timetable.is_whole(since=since) < LATE_S


@pytest.mark.fault("F7")
@pytest.mark.fault("F16")
async def test_no_slot_waits_while_redis_is_flushed_and_then_away(stopped):
    await start(stopped, 2)
    timetable = await begin(stopped)
    await timetable.goes_on(for_s=1)
    since = await timetable.now()

    for _ in range(5):
        await stopped.redis("FLUSHALL")
        await timetable.goes_on(for_s=0)
    await stopped.valkey.stop()
    await timetable.goes_on(for_s=3)
    [one, _] = stopped.running["scheduler"]
    assert await json_of(stopped, one, "/readyz") == {
        "ready": False,
        "postgres": "ok",
        "redis": "ConnectionError",
    }
    assert await is_alive(stopped, one)
    await stopped.valkey.start()

    await until_held(stopped)
    await timetable.goes_on(for_s=1)
    assert await timetable.is_whole(since=since) < LATE_S
    await eventually(lambda: in_redis(stopped), what="what Redis has to hold again")


async def in_redis(house):
    return await house.redis("LLEN", "rq:queue:maintenance") >= await house.value(
        "SELECT least(count(*), 200) FROM job WHERE state = 'ready' AND queue = 'maintenance'"
    )


@pytest.mark.fault("F11")
async def test_postgresql_restarted_at_once_twice_loses_and_doubles_no_slot(stopped):
    await start(stopped, 2)
    timetable = await begin(stopped)

    for _ in range(2):
        await timetable.goes_on(for_s=2)
        await stopped.crash_postgres()
    await timetable.goes_on(for_s=2)

    await timetable.is_whole()


@pytest.mark.fault("F11")
async def test_a_scheduler_without_postgresql_says_so_lives_and_goes_on_when_it_is_back(stopped):
    await start(stopped, 1)
    timetable = await begin(stopped)
    [only] = stopped.running["scheduler"]

    await stopped.postgres.stop()
    waits = await cycles(stopped, only)
    await eventually(lambda: has_waited(stopped, only, waits), what="two cycles without PostgreSQL")
    answer = await json_of(stopped, only, "/readyz")
    assert (answer["ready"], answer["postgres"], answer["redis"]) == (False, "StoreUnavailableError", "ok")
    assert await is_alive(stopped, only)
    await stopped.postgres.start()

    await timetable.goes_on(for_s=1)
    assert (await asked(stopped, only, "/readyz")).status_code == 200
    await timetable.is_whole()


async def has_waited(house, child, before):
    return (await cycles(house, child))["postgres_away"] >= before["postgres_away"] + 2


@pytest.mark.fault("F12")
async def test_a_schedule_that_somebody_has_locked_keeps_no_other_waiting(stopped):
    await start(stopped, 2)
    timetable = await begin(stopped)
    await timetable.goes_on(for_s=1)
    since = await timetable.now()

    connection = await asyncpg.connect(stopped.addresses.database_url)
    async with connection.transaction():
        await connection.execute("SELECT FROM schedule WHERE name = 'latest' FOR UPDATE")
        await eventually(lambda: is_ahead(stopped, 4), what="the others' slots")
    async with connection.transaction():
        await connection.execute("LOCK TABLE schedule IN ACCESS EXCLUSIVE MODE")
        await eventually(lambda: is_waited_for(connection), what="a scheduler that waits")
    await connection.close()

    await timetable.goes_on(for_s=2)
    assert await timetable.is_whole(since=since) < LATE_S


async def is_ahead(house, seconds):
    return await house.value(
        "SELECT one.watermark > other.watermark + $1 * interval '1 s' FROM schedule AS one, schedule AS other"
        " WHERE (one.name, other.name) = ('all', 'latest')",
        seconds,
    )


async def is_waited_for(connection):
    return await connection.fetchval(
        "SELECT count(*) >= 2 FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))",
        connection.get_server_pid(),
    )


@pytest.mark.fault("F16")
async def test_a_scheduler_told_to_stop_frees_the_lock_and_ends_with_nothing_left(stopped):
    await start(stopped, 2)
    timetable = await begin(stopped)
    await timetable.goes_on(for_s=1)
    since = await timetable.now()

    for number in (signal.SIGTERM, signal.SIGINT):
        leaving = await until_held(stopped)
        await start(stopped, 1)
        stopped.running["scheduler"].remove(leaving)
        leaving.send(number)
        assert await asyncio.wait_for(leaving.wait(), 5) == 0
        # Long before its time to live is over.
        await until_held(stopped, but_not_by=leaving, within_s=1)

    await timetable.goes_on(for_s=1)
    assert await timetable.is_whole(since=since) < LATE_S


@needs_libfaketime
@pytest.mark.fault("F14")
async def test_schedulers_whose_clocks_are_hours_apart_keep_the_databases_time(stopped, tmp_path):
    with clocks(tmp_path, "early", "late") as wrong:
        wrong["early"].show(7200)
        wrong["late"].show(-7200)
        for clock in wrong.values():
            await stopped.start("scheduler", **clock.environment)
        timetable = await begin(stopped)
        await timetable.goes_on(for_s=1)
        since = await timetable.now()

        for clock, offset_s in ((wrong["early"], -90), (wrong["late"], 90)):
            clock.show(offset_s)
            await timetable.goes_on(for_s=1)
        await kill(stopped, await until_held(stopped))
        await timetable.goes_on(for_s=1)

        assert await timetable.is_whole(since=since) < LATE_S
        await stopped.kill("scheduler")


@pytest.mark.fault("F26")
@pytest.mark.timeout(240)
async def test_behind_a_million_due_jobs_slots_are_on_time(stopped):
    connection = await asyncpg.connect(stopped.addresses.database_url)
    await connection.execute(BACKLOG, MILLION, timeout=200)
    await start(stopped, 2)
    timetable = await begin(stopped)
    await timetable.goes_on(for_s=1)
    since = await timetable.now()
    taken: list[bytes] = []

    # As workers do that are faster than any: whatever is handed over is taken.
    async def is_worked_off():
        taken.extend(await stopped.redis("LPOP", "rq:queue:maintenance", 1000) or [])
        return len(taken) >= 3000

    await eventually(is_worked_off, within_s=60, what="three thousand dispatches")
    await timetable.goes_on(for_s=1)
    assert await timetable.is_whole(since=since) < LATE_S
    # Nobody works here: to the invariants what waits for so long was lost.
    await stopped.kill("scheduler")
    await stopped.kill("scheduler")
    await connection.execute("TRUNCATE job, schedule_slot CASCADE")
    await connection.close()


@pytest.mark.fault("F17")
async def test_after_minutes_hours_and_days_without_a_scheduler_each_policy_says_what_still_runs(stopped):
    connection = await asyncpg.connect(stopped.addresses.database_url)
    began = await connection.fetchval(OUTAGES)
    await start(stopped, 2)
    await eventually(lambda: connection.fetchval(ALL_CAUGHT_UP), within_s=40, what="all that was missed")
    rows = await connection.fetch("SELECT *, now() AS now FROM schedule_slot WHERE business_id = 6")
    held = await stopped.redis("LLEN", "rq:queue:maintenance")
    jobs = await connection.fetchval("SELECT count(*) FROM job WHERE business_id = 6")
    await connection.close()

    for outage in (timedelta(minutes=2), timedelta(hours=2), timedelta(days=2)):
        for policy in CatchUp:
            mine = [row for row in rows if row["schedule"] == f"{policy} after {outage}"]
            assert {row["slot"] for row in mine if row["slot"] <= began} == missed(began, outage)
            assert all(row["reason"] for row in mine if row["state"] == "skipped")
            runs = {row["slot"] for row in mine if row["state"] == "enqueued"}
            assert_policy(policy, runs, missed(began, outage), began)
    assert jobs == sum(row["state"] == "enqueued" for row in rows)
    # What a business has missed comes at the pace of its share, not all at once.
    assert held < jobs / 2


def missed(began, outage):
    """Return every minute of an outage."""
    first = (began - outage).replace(second=0, microsecond=0)
    count = int((began - first).total_seconds()) // 60
    return {first + timedelta(minutes=number) for number in range(1, count + 1)}


def assert_policy(policy, runs, missed_slots, began):
    """Hold what runs of what was missed; while it is worked off, time goes on."""
    newest, caught_up = max(missed_slots), runs & missed_slots
    match policy:
        case CatchUp.ALL:
            oldest = began - LONGEST_AGE
            assert {slot for slot in missed_slots if slot > oldest + timedelta(minutes=2)} <= caught_up
            assert all(slot >= oldest for slot in caught_up)
        case CatchUp.LATEST:
            assert caught_up <= {newest}
            assert runs
        case CatchUp.NONE:
            assert caught_up <= {newest}
