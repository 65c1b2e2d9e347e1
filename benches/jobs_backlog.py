"""What waits outside Redis: how fast it is worked off, and what filling the window costs, however much waits.

Every case stands behind finished jobs, on rows inserted a moment ago, of which the planner knows nothing.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import asyncpg

from benches.jobs_faults import SCHEDULER
from benches.jobs_history import QUEUES, finish
from benches.jobs_house import BUSINESS, OUR_WORKER, House
from benches.jobs_ours import Noop
from benches.jobs_report import Report, Target, figure
from server.db.session import Database
from server.queue import statements
from server.queue.asking import Asked, insert
from server.queue.dispatch import BACKLOG_KEY, BACKLOG_KNOWN_S
from server.queue.window import FEW, MOST_LINES, SCHEDULERS_WINDOW

HISTORY = 200_000
BACKLOG = 10_000
ROUNDS = 3
TURNS = 20
WITHIN_S = 120
INSERT = """
INSERT INTO job (id, business_id, kind, queue, urgency, lane, due_at)
SELECT format('%s-6-%s-%s', $1::text, $2::int, n), {business}, $1, 'default', 0, {lane},
       now() - interval '1 min' + {due}
FROM generate_series(1, $3::int) AS n
"""


@dataclass(frozen=True)
class Part:
    """Some of what waits: how many, and as SQL of their number n whose, in which lane and due when."""

    jobs: int
    business: str = "6"
    lane: str = "NULL"
    due: str = "n * interval '1 us'"
    kind: str = "noop_job"

    async def insert(self, connection: asyncpg.Connection, number: int) -> None:
        """Insert it."""
        statement = INSERT.format(business=self.business, lane=self.lane, due=self.due)
        await connection.execute(statement, self.kind, number, self.jobs)


LATER = "interval '1 hour'"
CASES: dict[str, tuple[Part, ...]] = {
    "1,000 of one business": (Part(1000),),
    "10,000 of one business": (Part(10_000),),
    "100,000 of one business": (Part(100_000),),
    "1,000 businesses × 100": (Part(100_000, business="n % 1000 + 1"),),
    "5,000 lanes × 2, behind one of 5,000": (
        Part(5000, lane="'one'"),
        Part(10_000, lane="'lane ' || n % 5000", due="interval '30 s' + n * interval '1 us'"),
    ),
    "10 due, 100,000 later": (Part(100_000, business="n % 1000 + 1", due=LATER), Part(10)),
    "2,000 due, 10,000 businesses later": (Part(10_000, business="n", due=LATER), Part(2000)),
    "2,000 behind 50,000 of a paused kind": (
        Part(50_000, kind="paused_job"),
        Part(2000, due="interval '1 s'"),
    ),
}
SMALLEST, *_ = CASES


async def measure(house: House, report: Report) -> list[Target]:
    """Time the statement case by case, then a backlog against the same jobs in Redis."""
    await house.clear()
    await finish(house.look, HISTORY)
    await house.look.execute(
        "INSERT INTO job_pause (sort, name, reason, paused_by)"
        " VALUES ('kind', 'paused_job', 'bench', 'bench')"
    )
    found = {name: await _fills(house, parts) for name, parts in CASES.items()}
    report.say("**Filling the window once**")
    report.table(
        ["waiting", "handed over", "median"],
        [[name, str(handed), f"{figure(taken_ms)} ms"] for name, (handed, taken_ms) in found.items()],
    )
    return [*_growth(found), await _drained(house)]


def _growth(found: dict[str, tuple[int, float]]) -> list[Target]:
    smallest_ms = found[SMALLEST][1]
    targets = [Target(f"filling the window, {SMALLEST}", smallest_ms, "ms", most=20)]
    return targets + [
        Target(f"filling the window, {name}: times {SMALLEST}", taken_ms / smallest_ms, most=8)
        for name, (_, taken_ms) in found.items()
        if name != SMALLEST
    ]


async def _fills(house: House, parts: tuple[Part, ...]) -> tuple[int, float]:
    """Return how many jobs a fill hands over and its median in milliseconds, the same backlog each time."""
    await house.look.execute("DELETE FROM job WHERE state = 'ready'")
    await house.look.execute("VACUUM ANALYZE job")
    for number, part in enumerate(parts):
        await part.insert(house.look, number)
    arguments = (QUEUES, [SCHEDULERS_WINDOW] * len(QUEUES), MOST_LINES, FEW)
    database = Database(house.database_url, role="prosaas_worker")
    taken_ms: list[float] = []
    try:
        for _ in range(TURNS):
            async with database.driver() as connection:
                turn = connection.transaction()
                await turn.start()
                began = time.perf_counter()
                rows = await connection.fetch(statements.DISPATCH_DUE, *arguments)
                taken_ms.append((time.perf_counter() - began) * 1000)
                await turn.rollback()
    finally:
        await database.aclose()
    return sum(row["id"] is not None for row in rows), statistics.median(taken_ms)


async def _drained(house: House) -> Target:
    """Work off a backlog from the ledger, and the same jobs from Redis, in turn; compare the medians."""
    rates: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(2 * ROUNDS):
        straight = turn % 2 == 0
        rates[straight].append(await _once(house, straight=straight))
        name = "straight in Redis" if straight else "through the window"
        print(f"{BACKLOG:,} jobs {name:20} {rates[straight][-1]:8.0f} /s", flush=True)
    ratio = statistics.median(rates[False]) / statistics.median(rates[True])
    return Target(f"a backlog of {BACKLOG:,} through the window: times as fast as in Redis", ratio, least=0.5)


async def _once(house: House, *, straight: bool) -> float:
    await house.clear()
    payloads = [Noop(number) for number in range(BACKLOG)]
    if straight:
        await house.ask(payloads)
    else:
        async with house.database.driver_transaction(BUSINESS) as connection:
            await insert(connection, [Asked(one, BUSINESS) for one in payloads])
        # As if all of it had been beyond the business's share.
        await house.look.execute("UPDATE job SET dispatched_at = NULL")
        await house.redis.set(BACKLOG_KEY, "1", ex=BACKLOG_KNOWN_S)
    with (
        house.running(SCHEDULER, env=house.ours("scheduler")),
        house.running(OUR_WORKER, env=house.ours()),
    ):
        marks = await house.until_marked(BACKLOG, within_s=WITHIN_S)
    moments = sorted(mark.at for mark in marks)
    first, last = moments[len(moments) // 10], moments[len(moments) * 9 // 10]
    return len(moments) * 0.8 / (last - first)
