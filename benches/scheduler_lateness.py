"""How late slots are while one of three schedulers is killed every 20 s, and that each comes exactly once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benches.jobs_house import House
from benches.jobs_report import Report, Target, figure
from benches.scheduler_crew import OUR_WORKER, every_second, holder, killing, schedulers
from benches.scheduler_judged import quantile
from benches.scheduler_ours import ENTRIES_AT_MOST

ENTRIES = 5
SETTLED_WITHIN_S = 60
# The first kill comes when everybody has looked around.
FIRST_KILL_S = 10.0
ROWS = """
SELECT schedule, slot, state, job_id, extract(epoch FROM created_at - slot)::float8 AS late_s
FROM schedule_slot WHERE schedule LIKE 'tick-%' AND slot BETWEEN $1 AND $2
"""
BEHIND = """
SELECT EXISTS (SELECT FROM schedule WHERE kind = 'tick_job' AND watermark < $1)
    OR EXISTS (SELECT FROM job WHERE kind = 'tick_job' AND state <> 'done'
                 AND (payload ->> 'slot')::timestamptz <= $1)
"""


@dataclass(frozen=True)
class Seen:
    """What a run left: lateness of rows in seconds, and how often things were missing or there twice."""

    slots: int
    kills: int
    late_s: list[float]
    started_s: list[float]
    missed: int
    duplicates: int
    unexpected: int


async def measure(house: House, report: Report, *, seconds: int) -> list[Target]:
    """Kill the holder of the lock, with -9, under five schedules of every second."""
    seen = await _run(house, seconds)
    report.say("**Slots, every second, three schedulers, one of them killed every 20 s**")
    report.table(
        ["slots", "kills", "p50", "p99", "longest", "slot → its job runs, p50", "p99"],
        [
            [f"{seen.slots:,}", str(seen.kills)]
            + [_ms(quantile(seen.late_s, percent)) for percent in (50, 99, 100)]
            + [_ms(quantile(seen.started_s, percent)) for percent in (50, 99)]
        ],
    )
    return [
        Target("slot → its row and its job, p50", quantile(seen.late_s, 50) * 1000, "ms"),
        Target("slot → its row and its job, p99", quantile(seen.late_s, 99) * 1000, "ms", most=1000),
        Target("slot → its row and its job, longest", quantile(seen.late_s, 100) * 1000, "ms"),
        Target("slots without a row, a job or a run of it", seen.missed, most=0),
        Target("jobs and runs beyond one a slot", seen.duplicates, most=0),
        Target("slots skipped, or of no moment of the table", seen.unexpected, most=0),
    ]


async def _run(house: House, seconds: int) -> Seen:
    await house.clear()
    with schedulers(house, 3) as crew, house.running(OUR_WORKER, env=house.ours(WORKER_PROCESSES="1")):
        await crew.until_up()
        first = await every_second(house, ENTRIES)
        async with killing(crew, holder, first_s=FIRST_KILL_S):
            await asyncio.sleep(seconds)
        last = await _settled(house)
    return await _seen(house, first, last, crew.kills)


async def _settled(house: House) -> datetime:
    """Return the slot of this second, once its jobs ran and those of all before."""
    last: datetime = await house.look.fetchval("SELECT date_trunc('second', now())")

    async def is_settled() -> bool:
        return not await house.look.fetchval(BEHIND, last)

    await house.until(is_settled, within_s=SETTLED_WITHIN_S)
    return last


async def _seen(house: House, first: datetime, last: datetime, kills: int) -> Seen:
    count = int((last - first).total_seconds()) + 1
    table = {
        (f"tick-{entry}", first + timedelta(seconds=second))
        for entry in range(ENTRIES)
        for second in range(count)
    }
    rows = await house.look.fetch(ROWS, first, last)
    enqueued = {(row["schedule"], row["slot"]): row["job_id"] for row in rows if row["state"] == "enqueued"}
    jobs = Counter(await _asked(house))
    wall = time.time() - time.monotonic()
    runs = Counter(_slot_of(mark.number) for mark in house.marks)
    return Seen(
        slots=len(table),
        kills=kills,
        late_s=[row["late_s"] for row in rows],
        started_s=[mark.at + wall - mark.number // ENTRIES_AT_MOST for mark in house.marks],
        missed=sum(len(table - found.keys()) for found in (enqueued, jobs, runs)),
        duplicates=sum(found[one] - 1 for found in (jobs, runs) for one in table & found.keys()),
        unexpected=len({(row["schedule"], row["slot"]) for row in rows} ^ (table & enqueued.keys())),
    )


async def _asked(house: House) -> list[tuple[str, datetime]]:
    rows = await house.look.fetch(
        "SELECT 'tick-' || (payload ->> 'entry') AS name, (payload ->> 'slot')::timestamptz AS slot"
        " FROM job WHERE kind = 'tick_job'"
    )
    return [(row["name"], row["slot"]) for row in rows]


def _slot_of(number: int) -> tuple[str, datetime]:
    slot_s, entry = divmod(number, ENTRIES_AT_MOST)
    return f"tick-{entry}", datetime.fromtimestamp(slot_s, UTC)


def _ms(seconds: float) -> str:
    return f"{figure(seconds * 1000)} ms"
