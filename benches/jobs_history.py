"""Whether claims and sweeps cost the same with millions of finished jobs behind them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from benches.jobs_house import BUSINESS, House
from benches.jobs_ours import Noop
from benches.jobs_report import Report, Target
from server.db.session import Database
from server.queue import statements
from server.queue.asking import Asked, insert
from server.queue.kinds import queues
from server.queue.ledger import DEATHS_BEFORE_QUARANTINE, Ending, Ledger, Outcome
from server.queue.window import FEW, MOST_LINES, SCHEDULERS_WINDOW

TURNS = 60
BATCH = 100
WAITING = 2_000
AT_A_TIME = 500_000
QUEUES = sorted(queues())
SWEEP: dict[str, tuple[str, tuple[Any, ...]]] = {
    "free leases": (statements.FREE_EXPIRED_LEASES, (1000, DEATHS_BEFORE_QUARANTINE)),
    "orphaned effects": (statements.ORPHANED_EFFECTS, (1000,)),
    "expire": (statements.EXPIRE, (1000,)),
    "suspects": (statements.SUSPECTS, (15.0, 10_000)),
    "dispatch due": (
        statements.DISPATCH_DUE,
        (QUEUES, [SCHEDULERS_WINDOW] * len(QUEUES), MOST_LINES, FEW),
    ),
}
# Spread over a year, each with its one attempt, as the worker leaves them.
FINISHED = """
INSERT INTO job (id, business_id, kind, payload, queue, urgency, state, token, attempts, dispatch_no,
                 due_at, dispatched_at, created_at, started_at, finished_at)
SELECT 'noop_job-6-' || substr(md5(n::text), 1, 24), 6, 'noop_job', jsonb_build_object('number', n),
       'default', 0, 'done', 1, 1, 1, at, at, at, at, at
FROM generate_series($1::bigint, $2::bigint) AS n, LATERAL (SELECT now() - n * interval '6 s') AS past (at)
"""
ATTEMPTS = """
INSERT INTO job_attempt (job_id, token, business_id, worker, started_at, ended_at, outcome)
SELECT 'noop_job-6-' || substr(md5(n::text), 1, 24), 1, 6, 'gone', now(), now(), 'done'
FROM generate_series($1::bigint, $2::bigint) AS n
"""


async def flatness(house: House, report: Report, *, history: int) -> list[Target]:
    """Time the statements on an empty ledger, then behind `history` finished jobs."""
    await house.clear()
    before = await _timings(house, first=10**9)
    began = time.monotonic()
    await finish(house.look, history)
    print(f"{history:,} finished jobs inserted in {time.monotonic() - began:.0f} s", flush=True)
    after = await _timings(house, first=2 * 10**9)
    report.say(f"**Behind {history:,} finished jobs**")
    report.table(
        ["statement, median", "0 finished", f"{history:,} finished"],
        [[name, f"{alone_ms:.2f} ms", f"{after[name]:.2f} ms"] for name, alone_ms in before.items()],
    )
    return [
        Target(f"{name}: times as long behind {history:,} finished jobs", after[name] / alone_ms, most=2)
        for name, alone_ms in before.items()
    ]


async def finish(connection: asyncpg.Connection, history: int) -> None:
    """Insert finished jobs, each with its attempt, and let the planner know of them."""
    # Nobody looks for the job of each attempt: it was inserted a moment ago.
    await connection.execute("SET session_replication_role = replica")
    for start in range(1, history + 1, AT_A_TIME):
        last = min(start + AT_A_TIME - 1, history)
        for statement in (FINISHED, ATTEMPTS):
            await connection.execute(statement, start, last, timeout=600)
    await connection.execute("RESET session_replication_role")
    await connection.execute("VACUUM ANALYZE job, job_attempt", timeout=1200)
    await connection.execute("CHECKPOINT", timeout=600)


async def _timings(house: House, *, first: int) -> dict[str, float]:
    """Return milliseconds by statement, with a backlog of the same size each time."""
    worker = Database(house.database_url, role="prosaas_worker")
    scheduler = Database(house.database_url, role="prosaas_scheduler")
    ledger = Ledger(worker, lease_s=60)
    try:
        found = await _claims(house, ledger, first)
        async with house.database.driver_transaction(BUSINESS) as connection:
            await insert(connection, [Asked(Noop(first + 10**6 + n), BUSINESS) for n in range(WAITING)])
        for name, (statement, arguments) in SWEEP.items():
            async with scheduler.driver() as connection:
                found[f"sweep: {name}"] = await _median(
                    lambda c=connection, s=statement, a=arguments: c.fetch(s, *a), house
                )
        await house.look.execute("DELETE FROM job WHERE state = 'ready'")
        return found
    finally:
        await worker.aclose()
        await scheduler.aclose()


async def _claims(house: House, ledger: Ledger, first: int) -> dict[str, float]:
    claims_ms, ends_ms = [], []
    for turn in range(TURNS):
        asked = [Asked(Noop(first + turn * BATCH + number), BUSINESS) for number in range(BATCH)]
        async with house.database.driver_transaction(BUSINESS) as connection:
            await insert(connection, asked)
        began = time.perf_counter()
        claims = await ledger.claim([one.row()["id"] for one in asked], worker="bench")
        claimed = time.perf_counter()
        await ledger.end_all([(one.job_id, one.token, Ending(Outcome.DONE)) for one in claims])
        claims_ms.append((claimed - began) * 1000)
        ends_ms.append((time.perf_counter() - claimed) * 1000)
        if len(claims) != BATCH:
            raise AssertionError(f"{len(claims)} of {BATCH} claimed")
    return {
        f"claim of {BATCH}": statistics.median(claims_ms),
        f"end of {BATCH}": statistics.median(ends_ms),
    }


async def _median(act: Callable[[], Awaitable[Any]], house: House) -> float:
    found_ms = []
    for _ in range(TURNS // 3):
        # The same work each time: half of what waits is to be dispatched.
        await house.look.execute(
            "UPDATE job SET dispatched_at = CASE WHEN seq % 2 = 0 THEN now() - interval '1 min' END"
            " WHERE state = 'ready'"
        )
        began = time.perf_counter()
        await act()
        found_ms.append((time.perf_counter() - began) * 1000)
    return statistics.median(found_ms)
