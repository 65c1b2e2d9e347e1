"""F25: more of every class of work than there are places: what is done first, and what waits."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from server.queue import Asked
from server.queue.asking import insert
from server.queue.catalog import LoginCleanup, ReplyDoubted
from server.queue.kinds import Urgency
from server.queue.window import SCHEDULERS_WINDOW
from server.stack.programs import DEMO_BUSINESS_ID
from tests.engine import eventually
from tests.faults.senders import tell_all

REPLIES, FOLLOW_UPS, UPKEEP = 100, 400, 400
SLOTS = 40
# Twice what one take of sixteen comes to; the last of the takes may have been one of them.
FLOOR = 1 / 8
ORDER = """
SELECT array_agg(urgency ORDER BY started_at) FROM (
    SELECT job.urgency, job_attempt.started_at FROM job JOIN job_attempt ON job_attempt.job_id = job.id
    WHERE job_attempt.token = 1 AND (job.kind IN ('reply_doubted_job', 'login_cleanup_job')
        OR job.payload ->> 'event_id' IN (SELECT id::text FROM inbox_event WHERE event_id LIKE 'G25N%')))
AS start
"""
LEFT = "SELECT count(*) FROM job WHERE state IN ('ready', 'running') AND due_at <= now()"


async def leave_waiting(house, asked):
    """Ask for work without a word to Redis, as a process does for what is beyond its share."""
    connection = await asyncpg.connect(house.addresses.database_url)
    try:
        async with connection.transaction():
            found = await insert(connection, asked)
            await connection.execute(
                "UPDATE job SET dispatched_at = NULL WHERE id = ANY($1::text[])",
                [one.job_id for one in found],
            )
    finally:
        await connection.close()


def follow_ups(count):
    return [Asked(ReplyDoubted(f"nothing-{number}", 1), DEMO_BUSINESS_ID) for number in range(count)]


def upkeep(count):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [Asked(LoginCleanup(start + timedelta(minutes=number)), None) for number in range(count)]


@pytest.mark.slow
@pytest.mark.fault("F25")
@pytest.mark.timeout(240)
async def test_in_a_flood_of_everything_work_is_done_by_class_and_upkeep_keeps_its_floor(stopped):
    await stopped.start_all("simulator", "api", "scheduler")
    await leave_waiting(stopped, [*upkeep(UPKEEP), *follow_ups(FOLLOW_UPS)])

    async def windows_are_full():
        lines = [await stopped.redis("LLEN", f"rq:queue:{name}") for name in ("default", "maintenance")]
        return min(lines) >= SCHEDULERS_WINDOW

    await eventually(windows_are_full, what="windows full of what can wait")
    # Nobody tells Redis of the replies: they stand in line with all the rest.
    await stopped.valkey.stop()
    await tell_all(stopped, REPLIES, group=25)
    await stopped.valkey.start()

    await stopped.start("worker", WORKER_PROCESSES="1", WORKER_CONCURRENCY=str(SLOTS), JOB_LEASE_S="15")
    await eventually(lambda: nothing_left(stopped), within_s=150, what="the end of all of it")

    order = await stopped.value(ORDER)
    assert Counter(order) == {0: REPLIES, 1: FOLLOW_UPS, 4: UPKEEP}
    until_replied = last_of(order, Urgency.REPLY)
    first, then = order[:until_replied], order[until_replied : last_of(order, Urgency.FOLLOW_UP)]
    # What stood in Redis already is not overtaken.
    assert first.count(Urgency.FOLLOW_UP) <= SCHEDULERS_WINDOW + 2 * SLOTS
    assert 0 < first.count(Urgency.UPKEEP) <= SLOTS + FLOOR * len(first)
    assert then.count(Urgency.UPKEEP) <= SLOTS + FLOOR * len(then)


async def nothing_left(house):
    return not await house.value(LEFT)


def last_of(order, urgency):
    return len(order) - order[::-1].index(urgency)
