"""What a business sees of its own work and does to it: its own alone, recorded, and never twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import pytest

from server.errors import BadInputError
from server.queue import own_jobs
from server.queue.effects import EffectState
from server.queue.own_jobs import Stopped
from tests.engine import BUSINESS, eventually, job_kind

OTHER = 9
DANA = UUID("00000000-0000-0000-0000-00000000d4a4")


@dataclass(frozen=True)
class Chore:
    number: int


async def nothing(_run, _payload):
    return


async def wait_for_ever(_run, _payload):
    await asyncio.Event().wait()


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


async def settled(engine, key, state, business_id=BUSINESS, user_id=DANA):
    async with engine.api.transaction(business_id, user_id=user_id) as session:
        return await own_jobs.settle(session, business_id, key, state)


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
    running = await engine.ask(Chore(4))
    await engine.look.execute("UPDATE job SET state = 'running', started_at = now() WHERE id = $1", running)
    before = await engine.look.fetch("SELECT * FROM job ORDER BY id")

    work = await seen(engine, OTHER)
    assert not any([work.queues, work.running, work.waiting, work.ended, work.unknown])
    assert await again(engine, ["chore_job-6-1"], OTHER) == 0
    assert await again(engine, None, OTHER) == 0
    assert await cancelled(engine, waiting, OTHER) is Stopped.TOO_LATE
    assert not await settled(engine, "effect of chore_job-6-2", EffectState.CONFIRMED, OTHER)
    assert await cancelled(engine, running, OTHER) is Stopped.TOO_LATE
    # Not even where the caller names the wrong business: the transaction's own decides.
    async with engine.api.transaction(OTHER, user_id=DANA) as session:
        assert (await own_jobs.read_work(session, BUSINESS, 50)).ended == []
        assert (await own_jobs.preview_again(session, BUSINESS, None)).jobs == 0
        assert await own_jobs.run_again(session, BUSINESS, None, limit=50) == 0
        assert await own_jobs.cancel(session, BUSINESS, running) is Stopped.TOO_LATE
        assert not await own_jobs.settle(session, BUSINESS, "effect of chore_job-6-2", EffectState.NOT_SENT)

    assert await engine.look.fetchval("SELECT state FROM effect") == "unknown"
    assert await engine.look.fetch("SELECT * FROM job ORDER BY id") == before
    assert await audits(engine) == []


async def test_the_installation_s_own_jobs_are_nobody_s(engine, chores):
    await ended(engine, "chore_job-all-1", business_id=None)
    assert (await seen(engine, BUSINESS)).ended == []
    assert await again(engine, None) == 0


async def test_without_a_user_nothing_is_done(engine, chores):
    await ended(engine, "chore_job-6-1", effect="unknown")
    waiting = await engine.ask(Chore(2))
    assert not await settled(engine, "effect of chore_job-6-1", EffectState.CONFIRMED, user_id=None)
    await ended(engine, "chore_job-6-3")
    for deed in (
        lambda session: own_jobs.run_again(session, BUSINESS, None, limit=50),
        lambda session: own_jobs.cancel(session, BUSINESS, waiting),
    ):
        with pytest.raises(asyncpg.NotNullViolationError):
            async with engine.api.transaction(BUSINESS) as session:
                await deed(session)

    assert await engine.state("chore_job-6-3") == "failed"
    assert await engine.state(waiting) == "ready"
    assert await engine.look.fetchval("SELECT state FROM effect") == "unknown"


async def test_only_the_api_may_call_and_only_with_the_sweeping_role_s_rights(engine):
    for name in (
        "run_own_jobs_again(text[], int)",
        "cancel_own_job(text)",
        "stop_own_job(text)",
        "settle_own_effect(text, text)",
    ):
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


async def test_a_waiting_job_is_cancelled_once(engine, chores):
    waiting = await engine.ask(Chore(1))

    assert await cancelled(engine, waiting) is Stopped.CANCELLED
    assert await cancelled(engine, waiting) is Stopped.TOO_LATE
    assert await cancelled(engine, "no-such-job") is Stopped.TOO_LATE
    assert await engine.state(waiting) == "cancelled"
    assert await audits(engine) == [
        (waiting, "ready", "cancelled", f"member {DANA}", "cancelled on the jobs page")
    ]


async def test_a_running_job_is_stopped_within_two_seconds(engine):
    with job_kind(Chore, wait_for_ever):
        running = await engine.ask(Chore(1))
        async with engine.working(lease_s=60) as process:
            await engine.until_state(running, "running")
            await eventually(lambda: listens(engine, process))
            assert await cancelled(engine, running) is Stopped.TOLD_TO_STOP
            assert await engine.until_state(running, "cancelled", within_s=2)

    assert await audits(engine) == [
        (running, "running", "cancelled", f"member {DANA}", "cancelled on the jobs page")
    ]
    assert await cancelled(engine, running) is Stopped.TOO_LATE


async def listens(engine, process):
    return (await engine.redis.pubsub_numsub(f"rq:pubsub:{process.name}"))[0][1] == 1


async def test_a_running_job_that_nobody_could_tell_stops_when_its_lease_is_renewed(engine):
    with job_kind(Chore, wait_for_ever):
        running = await engine.ask(Chore(1))
        async with engine.working(lease_s=3):
            await engine.until_state(running, "running")
            # The command goes to a worker that is not there: as good as lost on its way through Redis.
            await engine.look.execute("UPDATE job_attempt SET worker = 'gone'")
            assert await cancelled(engine, running) is Stopped.TOLD_TO_STOP
            assert await engine.until_state(running, "cancelled", within_s=5)


@pytest.mark.parametrize("state", [EffectState.CONFIRMED, EffectState.NOT_SENT])
async def test_an_unknown_effect_is_settled_once_and_says_by_whom(engine, chores, state):
    await ended(engine, "chore_job-6-1", effect="unknown")

    assert await settled(engine, "effect of chore_job-6-1", state)
    assert not await settled(engine, "effect of chore_job-6-1", EffectState.CONFIRMED)
    assert not await settled(engine, "no such effect", state)
    row = await engine.look.fetchrow("SELECT state, reason FROM effect")
    assert tuple(row) == (state, f"settled by member {DANA}: looked up on the jobs page")
    assert (await audits(engine))[0][:4] == ("chore_job-6-1", "unknown", state, f"member {DANA}")


@pytest.mark.parametrize("state", [EffectState.ABANDONED, EffectState.SENT, EffectState.PLANNED])
async def test_a_member_settles_an_effect_as_gone_out_or_not_and_nothing_else(engine, chores, state):
    await ended(engine, "chore_job-6-1", effect="unknown")

    with pytest.raises(BadInputError, match="confirmed or not_sent"):
        await settled(engine, "effect of chore_job-6-1", state)


async def test_an_effect_is_settled_when_its_job_was_forgotten(engine, chores):
    await ended(engine, "chore_job-6-1", effect="unknown")
    await engine.look.execute("DELETE FROM job")

    assert await settled(engine, "effect of chore_job-6-1", EffectState.CONFIRMED)


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


async def test_a_business_sees_its_own_pause_and_those_of_kinds_and_queues_with_what_they_hold(
    engine, chores
):
    await engine.ask(Chore(1))
    await engine.look.execute(
        "INSERT INTO job_pause (sort, name, reason, paused_by, resumed_at) VALUES"
        " ('kind', 'chore_job', 'deploy', 'ops', NULL), ('queue', 'low', 'deploy', 'ops', NULL),"
        " ('business', '6', 'asked for', 'ops', NULL), ('business', '9', 'unpaid', 'ops', NULL),"
        " ('queue', 'default', 'over', 'ops', now())"
    )

    own = {(row.sort, row.name): row.held for row in (await seen(engine, BUSINESS)).pauses}
    others = {(row.sort, row.name): row.held for row in (await seen(engine, OTHER)).pauses}
    assert own == {("kind", "chore_job"): 1, ("queue", "low"): 0, ("business", "6"): 1}
    assert others == {("kind", "chore_job"): 0, ("queue", "low"): 0, ("business", "9"): 0}
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with engine.api.driver_transaction(BUSINESS) as connection:
            await connection.fetch("SELECT * FROM job_pause")


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        (own_jobs.QUEUES, [50]),
        (own_jobs.RUNNING, [50]),
        (own_jobs.WAITING, [50]),
        (own_jobs.ENDED, [["sent"], 50]),
        (own_jobs.COUNT_ENDED, [["sent"], None]),
        (own_jobs.PAUSES, [50]),
    ],
)
async def test_no_list_reads_what_is_finished(engine, statement, arguments):
    async with engine.api.driver_transaction(BUSINESS) as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch(f"EXPLAIN {statement}", BUSINESS, *arguments)

    assert "Seq Scan on job" not in "\n".join(row[0] for row in plan)


async def test_a_job_that_somebody_holds_is_waited_for_and_runs_again(engine, chores):
    await ended(engine, "chore_job-6-1")
    waits = (
        "SELECT count(*) > 0 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with engine.scheduler.driver_transaction() as holder:
        await holder.execute("SELECT FROM job WHERE id = 'chore_job-6-1' FOR UPDATE")
        asked = asyncio.create_task(again(engine, None))
        await eventually(lambda: engine.look.fetchval(waits), what="a member who waits")

    assert await asked == 1
    assert await engine.state("chore_job-6-1") == "ready"
