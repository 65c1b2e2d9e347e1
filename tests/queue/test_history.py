"""What the engine asks the ledger costs the same however many jobs have ended: no finished row is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from server.queue import figures, statements
from server.scheduler import look
from tests.engine import BUSINESS

FINISHED = 20_000
HISTORY = (
    """
    INSERT INTO job (id, business_id, kind, payload, queue, urgency, state, token, attempts, dispatch_no,
                     due_at, dispatched_at, created_at, started_at, finished_at)
    SELECT 'old-6-' || n, 6, 'old_job', '{}', 'default', 0, 'done', 1, 1, 1, at, at, at, at, at
    FROM generate_series(1, $1::int) AS n, LATERAL (SELECT now() - n * interval '1 min') AS past (at)""",
    """
    INSERT INTO job_attempt (job_id, token, business_id, worker, started_at, ended_at, outcome)
    SELECT 'old-6-' || n, 1, 6, 'gone', now(), now(), 'done' FROM generate_series(1, $1::int) AS n""",
    """
    INSERT INTO effect (key, business_id, provider, state, job_id, token)
    SELECT 'old-' || n, 6, 'whatsapp_bridge', 'confirmed', 'old-6-' || n, 1
    FROM generate_series(1, $1::int) AS n""",
)
TABLES = {"job", "job_attempt", "effect"}
STATEMENTS: Mapping[str, tuple[str, list[Any]]] = {
    "claim": (statements.CLAIM, [["old-6-1", "old-6-2"], 30.0, "worker"]),
    "renew": (statements.RENEW, [["old-6-1"], [1], 30.0]),
    "end": (statements.END, [["old-6-1"], [1], ["done"], [None], [None], [0]]),
    "next in lanes": (statements.NEXT_IN_LANES, [["lane"]]),
    "dispatch again": (statements.DISPATCH_AGAIN, [["old-6-1"]]),
    "dispatch due": (statements.DISPATCH_DUE, [["default"], [100], 2000, 1000]),
    "free leases": (statements.FREE_EXPIRED_LEASES, [1000, 3]),
    "orphaned effects": (statements.ORPHANED_EFFECTS, [1000]),
    "expire": (statements.EXPIRE, [1000]),
    "suspects": (statements.SUSPECTS, [15.0, 10_000]),
    "mark seen": (statements.MARK_SEEN, [["old-6-1"]]),
    "lives": (statements.LIVES, ["old-6-1", 1]),
    "strays": (statements.STRAYS, ["gone"]),
    "look": (look.JOBS, [15.0]),
    "figures: open": (figures.OPEN, ["waits"]),
    "figures: set aside": (figures.SET_ASIDE, [["old_job"], 10_000]),
    "figures: effects": (figures.EFFECTS, []),
    "figures: lanes": (figures.LANES_BLOCKED, []),
}


def nodes(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


@pytest.mark.parametrize("name", STATEMENTS)
async def test_no_statement_of_the_engine_reads_a_table_from_end_to_end(engine, name):
    for insert in HISTORY:
        await engine.look.execute(insert, FINISHED)
    await engine.look.execute("ANALYZE job, job_attempt, effect")
    statement, arguments = STATEMENTS[name]

    async with engine.worker.driver_transaction(BUSINESS) as connection:
        told = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *arguments)

    read = [node for node in nodes(json.loads(told)[0]["Plan"]) if node.get("Relation Name") in TABLES]
    assert read, "the plan names no table of the engine"
    assert [node["Relation Name"] for node in read if node["Node Type"] == "Seq Scan"] == []
