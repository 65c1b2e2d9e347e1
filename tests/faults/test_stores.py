"""F7–F12: stores that lose what they held, are full, restart, or answer no more."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.engine import eventually
from tests.faults.senders import QUESTION, ask_upkeep, tell, tell_all, until_answered, upkeep_done
from tests.processes import text_message

AHEAD = """
SELECT count(*) FROM job WHERE urgency > 0 AND started_at < (
    SELECT max(attempt.started_at) FROM job_attempt AS attempt JOIN job AS reply ON reply.id = attempt.job_id
    WHERE attempt.token = 1 AND reply.urgency = 0 AND reply.payload ->> 'event_id' IN (
        SELECT id::text FROM inbox_event WHERE event_id LIKE 'G0N%'))
"""
GO_BACK = """
UPDATE schedule SET (watermark, next_slot) = (now() - interval '21 minutes', now() - interval '21 minutes')
"""
SLOTS = "SELECT count(*) >= 4 FROM schedule_slot WHERE schedule = 'whatsapp_sessions_cleanup_job'"


@pytest.mark.slow
@pytest.mark.fault("F7")
async def test_ten_thousand_queued_jobs_survive_a_flush_and_another_while_they_are_refilled(stopped):
    await stopped.start_all("simulator", "api", "scheduler")
    await ask_upkeep(stopped, 10_000)

    async def first_done():
        return await upkeep_done(stopped) > 0

    await stopped.redis("FLUSHALL")
    await stopped.start("worker")
    await eventually(first_done, within_s=15, what="the first of them")
    await stopped.redis("FLUSHALL")
    await tell(stopped, 1)
    await until_answered(stopped, 1, within_s=15)

    async def all_done():
        return await upkeep_done(stopped) == 10_000

    await eventually(all_done, within_s=240, what="all of them")
    # A run may lose its lease on a machine this busy, and then another ends the job; none may fail.
    others = "SELECT json_agg(reason) FROM job_attempt WHERE outcome NOT IN ('done', 'lost', 'released')"
    assert await stopped.value(others) is None


@pytest.mark.slow
@pytest.mark.fault("F7")
async def test_after_a_flush_everything_is_refilled_at_once_and_replies_run_first(stopped):
    await stopped.start_all("simulator", "api", "scheduler")
    await ask_upkeep(stopped, 3000)
    await tell_all(stopped, 5)

    await stopped.redis("FLUSHALL")

    async def refilled():
        lines = [await stopped.redis("LLEN", f"rq:queue:{name}") for name in ("default", "maintenance")]
        return lines[0] >= 5 and lines[1] > 0

    await eventually(refilled, within_s=10, what="dispatches of both")
    await stopped.start("worker", WORKER_PROCESSES="1")
    await until_answered(stopped, 5)
    assert await stopped.value(AHEAD) <= 100


@pytest.mark.slow
@pytest.mark.fault("F7")
async def test_a_flush_of_an_idle_redis_costs_the_next_message_nothing(house):
    await tell(house, 1)
    await until_answered(house, 1)

    await house.redis("FLUSHALL")
    await tell(house, 2)

    await until_answered(house, 2, within_s=15)


@pytest.mark.slow
@pytest.mark.fault("F8")
async def test_webhooks_are_taken_while_redis_is_away_and_answered_when_it_is_back(house):
    await house.valkey.stop()
    await asyncio.gather(*(tell_all(house, 20, group=group) for group in range(3)))
    assert (await house.http.get("/healthz")).status_code == 200

    await house.valkey.start()

    await until_answered(house, 60)


@pytest.mark.slow
@pytest.mark.fault("F9")
async def test_a_full_redis_costs_time_and_no_message(house):
    await house.redis("CONFIG", "SET", "maxmemory", "1")
    await tell_all(house, 20)

    await house.redis("CONFIG", "SET", "maxmemory", "0")

    await until_answered(house, 20)


@pytest.mark.slow
@pytest.mark.fault("F10")
async def test_what_redis_forgot_of_a_queue_is_found_and_done(stopped):
    await stopped.start_all("simulator", "api", "scheduler")
    await tell_all(stopped, 10)
    await eventually(lambda: stopped.redis("LLEN", "rq:queue:default"), what="dispatches")

    await stopped.redis("RPOP", "rq:queue:default", 5)
    await stopped.start("worker")

    await until_answered(stopped, 10)


@pytest.mark.slow
@pytest.mark.fault("F11")
async def test_postgresql_restarted_at_once_in_the_middle_of_work_loses_nothing(house):
    async def restart():
        for sent in (5, 20):
            await house.until_sent(sent)
            await house.crash_postgres()

    await asyncio.gather(restart(), *(tell(house, number) for number in range(60)))

    await house.until_quiet(within_s=90)
    assert await house.value("SELECT count(*) FROM inbox_event WHERE event_id LIKE 'G0N%'") == 60
    assert await house.value("SELECT count(*) FROM effect") == 60
    unknown = await house.value("SELECT count(*) FROM effect WHERE state = 'unknown'")
    assert 60 - unknown <= len(await house.sends()) <= 60


@pytest.mark.slow
@pytest.mark.fault("F12")
@pytest.mark.parametrize("table", ["job", "inbox_event"])
async def test_nothing_is_acknowledged_while_postgresql_is_stalled(house, table):
    locker = await asyncpg.connect(house.addresses.database_url)
    held = locker.transaction()
    await held.start()
    await locker.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")

    answers = await asyncio.gather(
        *(house.post(text_message(QUESTION, message_id=f"L{n}")) for n in range(5))
    )
    assert {answer.status_code for answer in answers} == {503}

    await held.rollback()
    await locker.close()
    await tell_all(house, 5)
    await until_answered(house, 5)


@pytest.mark.slow
@pytest.mark.fault("F12")
async def test_a_scheduler_whose_timetable_is_locked_is_not_stuck(house):
    await house.value(GO_BACK)
    locker = await asyncpg.connect(house.addresses.database_url)
    held = locker.transaction()
    await held.start()
    await locker.execute("LOCK TABLE schedule IN ACCESS EXCLUSIVE MODE")

    # Nobody tells Redis of these: only a sweep finds them.
    await house.valkey.stop()
    await tell_all(house, 3)
    await house.valkey.start()
    await until_answered(house, 3)

    port = house.addresses.ports["scheduler"]
    assert (await house.http.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
    await held.rollback()
    await locker.close()
    await eventually(lambda: house.value(SLOTS), what="the slots of the timetable")
