"""What a business sees of its own work and does to it: its own alone, recorded, and never twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import pytest

from server.queue import own_jobs
from tests.engine import BUSINESS, job_kind

OTHER = 9
DANA = UUID("00000000-0000-0000-0000-00000000d4a4")


@dataclass(frozen=True)
class Chore:
    number: int


async def nothing(_run, _payload):
    return


@pytest.fixture
def chores():
    with job_kind(Chore, nothing):
        yield


async def ended(engine, job_id, state="failed", business_id=BUSINESS, effect=None):
    await engine.look.execute(
        "INSERT INTO job (id, business_id, kind, payload, queue, urgency, state, reason, finished_at)"
        " VALUES ($1, $2, 'chore_job', '{\"number\": 1}', 'default', 0, $3, 'Broken: pipe', now())",
        *(job_id, business_id, state),
    )
    if effect:
        await engine.look.execute(
            "INSERT INTO effect (key, business_id, provider, job_id, state, sending_at)"
            " VALUES ($1, $2, 'whatsapp_bridge', $3, $4, now())",
            *(f"effect of {job_id}", business_id, job_id, effect),
        )


async def again(engine, chosen, business_id=BUSINESS, limit=50):
    async with engine.api.transaction(business_id, user_id=DANA) as session:
        count = await own_jobs.run_again(session, business_id, chosen, limit=limit)
    await engine.dispatcher.flushed()
    return count


async def cancelled(engine, job_id, business_id=BUSINESS):
    async with engine.api.transaction(business_id, user_id=DANA) as session:
        return await own_jobs.cancel(session, business_id, job_id)


async def seen(engine, business_id, limit=50):
    async with engine.api.transaction(business_id) as session:
        return await own_jobs.read_work(session, business_id, limit)


async def audits(engine):
    rows = await engine.look.fetch("SELECT job_id, from_state, to_state, actor, reason FROM job_audit")
    return [tuple(row) for row in rows]


async def test_a_failed_job_runs_again_at_once_and_says_who_wanted_it(engine, chores):
    await ended(engine, "chore_job-6-1")
    async with engine.working():
        assert await again(engine, ["chore_job-6-1"]) == 1
        await engine.until_state("chore_job-6-1", "done")

    assert await again(engine, ["chore_job-6-1"]) == 0
    assert await audits(engine) == [
        ("chore_job-6-1", "failed", "ready", f"member {DANA}", "run again on the jobs page")
    ]


async def test_another_business_s_jobs_are_neither_seen_nor_touched(engine, chores):
    await ended(engine, "chore_job-6-1")
    await ended(engine, "chore_job-6-2", effect="unknown")
    waiting = await engine.ask(Chore(3))
    before = await engine.look.fetch("SELECT * FROM job ORDER BY id")

    work = await seen(engine, OTHER)
    assert not any([work.queues, work.running, work.waiting, work.ended, work.unknown])
    assert await again(engine, ["chore_job-6-1"], OTHER) == 0
    assert await again(engine, None, OTHER) == 0
    assert await cancelled(engine, waiting, OTHER) is False
    # Not even where the caller names the wrong business: the transaction's own decides.
    async with engine.api.transaction(OTHER, user_id=DANA) as session:
        assert (await own_jobs.read_work(session, BUSINESS, 50)).ended == []
        assert (await own_jobs.preview_again(session, BUSINESS, None)).jobs == 0
        assert await own_jobs.run_again(session, BUSINESS, None, limit=50) == 0

    assert await engine.look.fetch("SELECT * FROM job ORDER BY id") == before
    assert await audits(engine) == []


async def test_the_installation_s_own_jobs_are_nobody_s(engine, chores):
    await ended(engine, "chore_job-all-1", business_id=None)
    assert (await seen(engine, BUSINESS)).ended == []
    assert await again(engine, None) == 0


async def test_without_a_user_nothing_is_done(engine, chores):
    await ended(engine, "chore_job-6-1")
    waiting = await engine.ask(Chore(2))
    for deed in (
        lambda session: own_jobs.run_again(session, BUSINESS, None, limit=50),
        lambda session: own_jobs.cancel(session, BUSINESS, waiting),
    ):
        with pytest.raises(asyncpg.NotNullViolationError):
            async with engine.api.transaction(BUSINESS) as session:
                await deed(session)

    assert await engine.state("chore_job-6-1") == "failed"
    assert await engine.state(waiting) == "ready"


async def test_only_the_api_may_call_and_only_with_the_sweeping_role_s_rights(engine):
    for name in ("run_own_jobs_again(text[], int)", "cancel_own_job(text)"):
        allowed = [
            await engine.look.fetchval("SELECT has_function_privilege($1, $2, 'EXECUTE')", role, name)
            for role in ("prosaas_api", "prosaas_worker", "public")
        ]
        assert allowed == [True, False, False]
        owner = await engine.look.fetchval(
            "SELECT proowner::regrole::text FROM pg_proc WHERE oid = $1::regprocedure", name
        )
        assert owner == "prosaas_scheduler"
    assert not await engine.look.fetchval(
        "SELECT has_schema_privilege('prosaas_scheduler', 'public', 'CREATE')"
    )


@pytest.mark.parametrize("effect", ["sent", "confirmed", "unknown", "sending"])
async def test_what_sent_or_may_have_sent_is_held_back_and_counted(engine, chores, effect):
    await ended(engine, "chore_job-6-1", effect=effect)
    await ended(engine, "chore_job-6-2", "expired", effect="failed")
    await ended(engine, "chore_job-6-3", "quarantined", effect="planned")
    await ended(engine, "chore_job-6-4", "cancelled")

    rows = {row.id: row.held_back for row in (await seen(engine, BUSINESS)).ended}
    assert rows == {"chore_job-6-1": True, "chore_job-6-2": False, "chore_job-6-3": False}
    async with engine.api.transaction(BUSINESS) as session:
        counted = await own_jobs.preview_again(session, BUSINESS, None)
        one = await own_jobs.preview_again(session, BUSINESS, ["chore_job-6-2", "chore_job-6-4", "no"])
    assert counted == own_jobs.Again(jobs=2, expired=1, held_back=1)
    assert one == own_jobs.Again(jobs=1, expired=1, held_back=0)
    assert await again(engine, None) == 2
    assert await engine.state("chore_job-6-1") == "failed"
    assert await engine.state("chore_job-6-4") == "cancelled"


async def test_two_members_at_once_run_each_job_again_once_and_in_bounded_steps(engine, chores):
    await engine.look.execute(
        "INSERT INTO job (id, business_id, kind, queue, urgency, state, finished_at)"
        " SELECT 'chore_job-6-' || n, 6, 'chore_job', 'default', 0, 'failed', now()"
        " FROM generate_series(1, 300) AS n"
    )
    counts = await asyncio.gather(*(again(engine, None, limit=100) for _ in range(6)))

    assert max(counts) <= 100
    assert sum(counts) + await engine.look.fetchval("SELECT count(*) FROM job WHERE state = 'failed'") == 300
    assert sum(counts) == await engine.look.fetchval("SELECT count(*) FROM job_audit")


async def test_a_waiting_job_is_cancelled_and_a_running_one_goes_on(engine, chores):
    waiting, running = await engine.ask(Chore(1)), await engine.ask(Chore(2))
    await engine.look.execute("UPDATE job SET state = 'running', started_at = now() WHERE id = $1", running)

    assert await cancelled(engine, waiting) is True
    assert await cancelled(engine, waiting) is False
    assert await cancelled(engine, running) is False
    assert await cancelled(engine, "no-such-job") is False
    assert await engine.state(waiting) == "cancelled"
    assert await engine.state(running) == "running"
    assert await audits(engine) == [
        (waiting, "ready", "cancelled", f"member {DANA}", "cancelled on the jobs page")
    ]


async def test_the_lists_say_what_waits_and_runs_and_are_bounded(engine, chores):
    ids = [await engine.ask(Chore(number)) for number in range(3)]
    await engine.look.execute("UPDATE job SET state = 'running', started_at = now() WHERE id = $1", ids[0])
    await engine.look.execute("UPDATE job SET dispatched_at = NULL WHERE id = $1", ids[1])
    for number in range(4):
        await ended(engine, f"chore_job-6-{number}")

    work = await seen(engine, BUSINESS, limit=3)
    [queue] = work.queues
    assert (queue.kind, queue.queue, queue.waiting, queue.running) == ("chore_job", "default", 2, 1)
    assert queue.oldest_at is not None
    assert [row.id for row in work.running] == [ids[0]]
    assert [row.id for row in work.waiting] == ids[1:]
    assert len(work.ended) == 3


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        (own_jobs.QUEUES, [50]),
        (own_jobs.RUNNING, [50]),
        (own_jobs.WAITING, [50]),
        (own_jobs.ENDED, [["sent"], 50]),
        (own_jobs.COUNT_ENDED, [["sent"], None]),
    ],
)
async def test_no_list_reads_what_is_finished(engine, statement, arguments):
    async with engine.api.driver_transaction(BUSINESS) as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch(f"EXPLAIN {statement}", BUSINESS, *arguments)

    assert "Seq Scan on job" not in "\n".join(row[0] for row in plan)
