"""A hundred thousand delayed jobs that come due at one moment: how soon all are handed over, in which order.

They are of five classes, in three queues, of two hundred businesses. Once they are taken as fast as they are
handed over, as by workers enough on other machines: what schedulers can do. Then our workers run them beside
the schedulers and PostgreSQL on this machine, which is then what counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from benches.jobs_house import House
from benches.jobs_report import Report, Target, figure
from benches.scheduler_crew import OUR_WORKER, schedulers
from benches.scheduler_ours import DUE
from server import tasks
from server.queue.kinds import KIND_OF

JOBS = 100_000
BUSINESSES = 200
# Tenths of all jobs, class by class.
SHARES = (1, 2, 3, 3, 1)
INSERTED_WITHIN_S = 45
WITHIN_S = 400
MADE = """
INSERT INTO business (id, name)
SELECT 1000 + n, format('bench %s', n) FROM generate_series(1, $1::int) AS n
ON CONFLICT DO NOTHING
"""
INSERT = """
INSERT INTO job (id, business_id, kind, queue, urgency, payload, due_at)
SELECT format('%s-%s-%s', $1::text, 1001 + n % $2::int, n), 1001 + n % $2::int, $1, $3, $4,
       jsonb_build_object('number', n), $5
FROM generate_series(1, $6::int) AS n
"""
DONE = "UPDATE job SET state = 'done', started_at = now(), finished_at = now() WHERE id = ANY($1)"
UNDONE = "SELECT EXISTS (SELECT FROM job WHERE kind LIKE 'due_%' AND state <> 'done')"
FOUND = """
SELECT urgency, queue, count(*) AS jobs, count(*) FILTER (WHERE dispatch_no > 1) AS again,
       extract(epoch FROM min(dispatched_at) - $1)::float8 AS first_s,
       extract(epoch FROM max(dispatched_at) - $1)::float8 AS last_s,
       extract(epoch FROM max(started_at) - $1)::float8 AS started_s
FROM job WHERE kind LIKE 'due_%' GROUP BY urgency, queue ORDER BY urgency
"""
# A queue's window holds one class after the other; which queue's work starts is the worker's choice, which
# takes from the less urgent ones too where a more urgent one's window is empty, and now and then anyway.
OVERTOOK = """
WITH class AS (
    SELECT queue, urgency, max(dispatched_at) AS dispatched, max(started_at) AS started
    FROM job WHERE kind LIKE 'due_%' GROUP BY queue, urgency
), above AS (
    SELECT queue, urgency,
           (SELECT max(dispatched) FROM class AS ahead
            WHERE ahead.urgency < class.urgency AND ahead.queue = class.queue) AS dispatched,
           (SELECT max(started) FROM class AS ahead WHERE ahead.urgency < class.urgency) AS started
    FROM class
)
SELECT count(*) FILTER (WHERE dispatched_at < dispatched) AS dispatches,
       coalesce(max(extract(epoch FROM dispatched - dispatched_at)), 0)::float8 AS by_s,
       count(*) FILTER (WHERE started_at < started) AS starts
FROM job JOIN above USING (queue, urgency) WHERE kind LIKE 'due_%'
"""


async def measure(house: House, report: Report) -> list[Target]:
    """Insert them ahead of time and wait for the moment, once with takers alone and once with workers."""
    report.say(f"**{JOBS:,} delayed jobs of {BUSINESSES} businesses, due at one moment**")
    due_at = await _inserted(house)
    taking = asyncio.create_task(_take(house))
    try:
        await _wait(house, due_at)
    finally:
        await tasks.end(taking)
    targets = await _told(house, report, due_at, "taken at once", most_s=20)
    due_at = await _inserted(house)
    with house.running(OUR_WORKER, env=house.ours()):
        await _wait(house, due_at)
    return targets + await _told(house, report, due_at, "run by our workers beside", most_s=None)


async def _wait(house: House, due_at: datetime) -> None:
    """Have two schedulers keep time until all is done."""
    with schedulers(house, 2) as crew:
        await crew.until_up()
        await asyncio.sleep((due_at - await house.look.fetchval("SELECT clock_timestamp()")).total_seconds())

        async def is_done() -> bool:
            await asyncio.sleep(0.5)
            return not await house.look.fetchval(UNDONE)

        await house.until(is_done, within_s=WITHIN_S)


async def _take(house: House) -> None:
    """Stand in for workers enough: take what is handed over, and note in one statement that it is done."""
    queues = [f"rq:queue:{name}" for name in sorted({KIND_OF[one].queue for one in DUE})]
    connection = await asyncpg.connect(house.database_url)
    try:
        while True:
            taken = [one for queue in queues for one in await house.redis.lpop(queue, JOBS) or ()]
            if not taken:
                await asyncio.sleep(0.005)
                continue
            await house.redis.delete(*(f"rq:job:{one.decode()}" for one in taken))
            await connection.execute(DONE, [one.decode().rpartition("-")[0] for one in taken])
    finally:
        await connection.close()


async def _told(
    house: House, report: Report, due_at: datetime, how: str, *, most_s: float | None
) -> list[Target]:
    rows = await house.look.fetch(FOUND, due_at)
    overtook = await house.look.fetchrow(OVERTOOK)
    report.table(
        [how, "queue", "jobs", "first handed over", "last handed over", "last started"],
        [
            [f"class {row['urgency']}", row["queue"], f"{row['jobs']:,}"]
            + [f"{figure(row[name])} s" for name in ("first_s", "last_s", "started_s")]
            for row in rows
        ],
    )
    return _targets(rows, overtook, how, most_s)


def _targets(
    rows: Sequence[asyncpg.Record], overtook: asyncpg.Record, how: str, most_s: float | None
) -> list[Target]:
    jobs = f"{JOBS:,} jobs due at one moment, {how}:"
    last_s = max(row["last_s"] for row in rows)
    again = sum(row["again"] for row in rows)
    return [
        Target(f"{jobs} all handed over after", last_s, "s", most=most_s),
        Target(f"{jobs} longest before the last of a class above", max(overtook["by_s"], 0.0), "s", most=1),
        Target(f"{jobs} started before one of a class above", overtook["starts"] / JOBS * 100, "%"),
        Target(f"{jobs} handed over again", again, most=0),
    ]


async def _inserted(house: House) -> datetime:
    """Insert all of them; return when they are due."""
    await house.clear()
    await house.look.execute(MADE, BUSINESSES)
    now = await house.look.fetchval("SELECT date_trunc('second', now())")
    due_at: datetime = now + timedelta(seconds=INSERTED_WITHIN_S)
    for payload_type, share in zip(DUE, SHARES, strict=True):
        kind = KIND_OF[payload_type]
        jobs = JOBS * share // sum(SHARES)
        await house.look.execute(
            INSERT,
            kind.name,
            BUSINESSES,
            kind.queue,
            int(kind.urgency),
            due_at,
            jobs,
            timeout=INSERTED_WITHIN_S,
        )
    await house.look.execute("VACUUM ANALYZE job")
    if await house.look.fetchval("SELECT clock_timestamp()") > due_at - timedelta(seconds=5):
        raise AssertionError(f"{JOBS:,} jobs were not inserted in time")
    return due_at
