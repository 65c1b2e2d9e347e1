"""A backlog is worked off by reading what is handed over, not what waits: a planner cannot get it wrong."""

from __future__ import annotations

import asyncio
import json

import pytest

from server.queue import effects, statements
from server.queue.dispatch import BACKLOG_KEY
from server.queue.kinds import Urgency
from server.queue.window import FEW, MOST_LINES, SCHEDULERS_WINDOW, Window
from server.worker.taking import TAKE
from tests.engine import BUSINESS, eventually, job_kind
from tests.queue.test_fairness import Reply, Send, in_redis, nothing

WAITING = 20_000
QUEUES_IN_REDIS = ("rq:queue:default", "rq:queue:low")
# The first look reads a few; what is handed over is read in its line, then by id to lock and to change it.
MOST_READ = FEW + 10 * SCHEDULERS_WINDOW
DONE = """
INSERT INTO job (id, business_id, kind, queue, urgency, state, due_at, dispatched_at, finished_at)
SELECT 'old-6-' || n, 6, 'reply_job', 'default', 0, 'done', now(), now(), now()
FROM generate_series(1, 20000) AS n
"""
RUNNING = """
INSERT INTO job (id, business_id, kind, queue, urgency, state, token, lease_until)
SELECT 'runs-' || n, 6, 'reply_job', 'default', 0, 'running', 1, now() + interval '1 min'
FROM generate_series(1, 20000) AS n
"""
WAITED = """
INSERT INTO job (id, business_id, kind, queue, urgency, due_at)
SELECT 'waited-' || n, n % 7 + 1, 'reply_job', 'default', 0, now() FROM generate_series(1, 2000) AS n
"""
INSERT = """
INSERT INTO job (id, business_id, kind, queue, urgency, lane, due_at)
SELECT format('%s-%s-%s', $1::text, {business}, substr(md5($1::text || n), 1, 24)), {business}, $1, $2, $3,
       {lane}, now() - interval '1 min' + n * interval '1 us'
FROM generate_series(1, $4::int) AS n
"""
STANDS = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE NOT granted AND relation = 'job'::regclass AND datname = current_database()
"""
BURSTS = {
    "of one business": {},
    "of many businesses": {"business": "n % 100 + 1"},
    "of many lanes": {"lane": "'lane ' || n"},
}
BEFORE = {
    "new ledger": [],
    "empty when last counted": ["ANALYZE job"],
    "much waited when last counted": [
        DONE.replace("'done', now(), now(), now()", "'ready', now(), NULL, NULL"),
        "ANALYZE job",
        "DELETE FROM job",
    ],
    "much has ended": [DONE, "ANALYZE job"],
    "nothing ran when last counted": ["ANALYZE job", RUNNING],
    "emptied when last counted": [DONE, WAITED, "ANALYZE job", "DELETE FROM job", "ANALYZE job"],
}
ASKED = {
    "dispatch due": (
        statements.DISPATCH_DUE,
        f"'{{default}}', '{{{SCHEDULERS_WINDOW}}}', {MOST_LINES}, {FEW}",
    ),
    "dispatch again": (statements.DISPATCH_AGAIN, "'{none-1,none-2}'"),
    "next in lanes": (statements.NEXT_IN_LANES, "'{lane 1,lane 2}'"),
    "claim": (statements.CLAIM, "'{none-1,none-2}', 15, 'a worker'"),
    "renew": (statements.RENEW, "'{none-1,none-2}', '{1,1}', 15"),
    "claim of": (statements.CLAIM_OF, "'none', 1"),
    "progress": (statements.PROGRESS, "'none', 1, '{}', 1, 1"),
    "checkpoint": (statements.CHECKPOINT, "'none', 1, '{}'"),
    "begin to send": (effects.BEGIN, "'none', 'none', 1"),
    "free leases": (statements.FREE_EXPIRED_LEASES, "1000, 3"),
    "bury": (statements.BURY, "'{none-1,none-2}', '{1,1}', 3"),
    "end": (statements.END, "'{none-1,none-2}', '{1,1}', '{done,done}', '{x,x}', '{NULL,NULL}', '{0,0}'"),
}


async def wait_in_ledger(
    engine, count, *, kind="reply_job", queue="default", urgency=Urgency.REPLY, business="6", lane="NULL"
):
    statement = INSERT.format(business=business, lane=lane)
    await engine.look.execute(statement, kind, queue, int(urgency), count)


def rows_read(plan):
    own = 0
    if plan.get("Relation Name") == "job" and plan["Node Type"] != "ModifyTable":
        own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return own * plan["Actual Loops"] + sum(rows_read(below) for below in plan.get("Plans", []))


@pytest.mark.parametrize("is_planned_before", [False, True], ids=["planned after it", "planned before it"])
@pytest.mark.parametrize("burst", BURSTS)
@pytest.mark.parametrize("before", BEFORE)
async def test_what_is_read_after_a_burst_follows_from_what_is_handed_over(
    engine, before, burst, is_planned_before
):
    for statement in BEFORE[before]:
        await engine.look.execute(statement)
    async with engine.worker.driver_transaction(BUSINESS) as connection:
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        for name, (statement, arguments) in ASKED.items():
            await connection.execute(f'PREPARE "{name}" AS {statement}')
            if is_planned_before:
                await connection.execute(f'EXECUTE "{name}" ({arguments})')
        await wait_in_ledger(engine, WAITING, **BURSTS[burst])

        plans = {
            name: await connection.fetchval(f'EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE "{name}" ({arguments})')
            for name, (_, arguments) in ASKED.items()
        }
        await connection.execute("; ".join(f'DEALLOCATE "{name}"' for name in ASKED))

    read = {name: rows_read(json.loads(told)[0]["Plan"]) for name, told in plans.items()}
    assert {name: rows for name, rows in read.items() if rows > MOST_READ} == {}


async def test_more_is_known_to_wait_though_somebody_else_holds_all_that_was_chosen(engine):
    with job_kind(Reply, nothing):
        await wait_in_ledger(engine, 2 * FEW)
        async with engine.look.transaction():
            await engine.look.execute(
                "SELECT FROM job ORDER BY due_at LIMIT $1 FOR UPDATE", SCHEDULERS_WINDOW
            )

            swept = await engine.sweeper.sweep()

        assert swept.dispatched == 0
        assert await engine.redis.exists(BACKLOG_KEY)


async def test_nothing_is_said_to_wait_once_all_was_handed_over(engine):
    with job_kind(Reply, nothing):
        await wait_in_ledger(engine, 200)

        await engine.sweeper.sweep()

        assert len(await in_redis(engine)) == 200
        assert not await engine.redis.exists(BACKLOG_KEY)


@pytest.mark.parametrize("left_behind", [0, 2 * SCHEDULERS_WINDOW])
async def test_what_is_said_to_wait_while_the_ledger_is_read_stays_said(engine, left_behind):
    window = Window(engine.worker, engine.redis, engine.dispatcher)
    with job_kind(Reply, nothing):
        await wait_in_ledger(engine, left_behind)
        async with engine.look.transaction():
            await engine.look.execute("LOCK TABLE job IN ACCESS EXCLUSIVE MODE")
            filling = asyncio.create_task(window.fill(SCHEDULERS_WINDOW))
            await eventually(lambda: stands_before_the_lock(engine), within_s=5, what="a reading")
            await engine.redis.set(BACKLOG_KEY, "1")
        await filling

        assert await engine.redis.get(BACKLOG_KEY) == b"1"


async def stands_before_the_lock(engine) -> bool:
    return bool(await engine.look.fetchval(STANDS))


async def test_one_urgent_line_fills_the_window_before_many_businesses_broadcasts(engine):
    with job_kind(Reply, nothing), job_kind(Send, nothing, urgency=Urgency.BROADCAST):
        await wait_in_ledger(engine, 1500, kind="send_job", urgency=Urgency.BROADCAST, business="n + 100")
        await wait_in_ledger(engine, 400)

        await engine.sweeper.sweep()

        assert await in_redis(engine) == [BUSINESS] * SCHEDULERS_WINDOW


async def test_paused_businesses_however_many_hide_nobody(engine):
    with job_kind(Reply, nothing):
        await wait_in_ledger(engine, MOST_LINES + 10, business="n + 100")
        await wait_in_ledger(engine, 5, business="9000")
        await engine.look.execute(
            "INSERT INTO job_pause (sort, name, reason, paused_by)"
            " SELECT 'business', n + 100, 'a test', 'a test' FROM generate_series(1, $1::int) AS n",
            MOST_LINES + 10,
        )

        await engine.sweeper.sweep()

        assert await in_redis(engine) == [9000] * 5


@pytest.mark.parametrize("held_back", ["kind", "queue"])
async def test_what_is_paused_is_stepped_over_not_read(engine, held_back):
    with job_kind(Reply, nothing), job_kind(Send, nothing, queue="low"):
        await wait_in_ledger(engine, WAITING, kind="send_job")
        await engine.look.execute("UPDATE job SET queue = 'low'")
        await wait_in_ledger(engine, 2)
        await engine.look.execute(
            "INSERT INTO job_pause (sort, name, reason, paused_by) VALUES ($1, $2, 'a test', 'a test')",
            *(held_back, "send_job" if held_back == "kind" else "low"),
        )
        arguments = [["default", "low"], [SCHEDULERS_WINDOW] * 2, MOST_LINES, FEW]
        async with engine.worker.driver() as connection:
            told = await connection.fetchval(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statements.DISPATCH_DUE}", *arguments
            )

        assert rows_read(json.loads(told)[0]["Plan"]) <= MOST_READ
        ready = "SELECT array_agg(kind) FROM job WHERE dispatched_at IS NOT NULL"
        assert await engine.look.fetchval(ready) == ["reply_job"] * 2


@pytest.mark.parametrize(("replies", "is_behind"), [(2 * SCHEDULERS_WINDOW, True), (100, False)])
async def test_a_queue_is_filled_again_by_what_waits_for_it_whatever_the_others_hold(
    engine, replies, is_behind
):
    with job_kind(Reply, nothing), job_kind(Send, nothing, queue="low", urgency=Urgency.BROADCAST):
        await wait_in_ledger(engine, replies)
        await wait_in_ledger(
            engine, 2 * SCHEDULERS_WINDOW, kind="send_job", queue="low", urgency=Urgency.BROADCAST
        )
        await engine.sweeper.sweep()

        taken = await engine.redis.eval(TAKE, 0, SCHEDULERS_WINDOW, 0, 100, *QUEUES_IN_REDIS)

        assert len(await in_redis(engine, "low")) == SCHEDULERS_WINDOW
        assert (taken[0] == b"more") is is_behind
