"""A worker process: many waiting jobs at once, each ended once, seen truly by RQ."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import pytest
import redis as sync_redis
from rq import Queue
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.worker import Worker

from server.errors import ProviderBusyError
from tests.engine import eventually, job_kind


@dataclass(frozen=True)
class Wait:
    number: int


@dataclass(frozen=True)
class Fail:
    number: int


@pytest.fixture
def rq(redis_url):
    with sync_redis.Redis.from_url(redis_url) as client:
        yield client


async def test_five_hundred_waiting_jobs_run_at_once(engine):
    async def handle(_run, _payload):
        await asyncio.sleep(1)

    with job_kind(Wait, handle):
        ids = [await engine.ask(Wait(number)) for number in range(500)]
        started = time.perf_counter()
        async with engine.working(concurrency=500, lease_s=15):
            await eventually(lambda: all_done(engine, ids), within_s=60)

    # One after another they would take five hundred seconds.
    assert time.perf_counter() - started < 50


async def all_done(engine, ids):
    return await engine.look.fetchval("SELECT count(*) FROM job WHERE state = 'done'") == len(ids)


async def test_jobs_of_one_lane_run_in_order_and_never_together(engine):
    seen: list[int] = []
    running = 0

    async def handle(_run, payload):
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0.01)
        seen.append(payload.number)
        running -= 1

    with job_kind(Wait, handle):
        ids = [await engine.ask(Wait(number), lane="chat") for number in range(12)]
        async with engine.working():
            await eventually(lambda: all_done(engine, ids), within_s=20)

    assert seen == list(range(12))


async def test_a_failing_job_is_tried_by_its_limit_then_failed_and_in_rqs_registry(engine, rq):
    tries: list[int] = []

    async def handle(run, _payload):
        tries.append(run.attempt)
        raise ZeroDivisionError

    with job_kind(Fail, handle, retry_after_s=(0.0, 0.0)):
        job_id = await engine.ask(Fail(1))
        async with engine.working():
            await sweeping_until(engine, job_id, "failed")

        assert tries == [1, 2, 3]
        # RQ is told after PostgreSQL, and not of the earlier tries.
        failed = FailedJobRegistry("default", connection=rq)
        await eventually(lambda: failed.get_job_ids() == [f"{job_id}-3"])
        reason = await engine.look.fetchval("SELECT reason FROM job WHERE id = $1", job_id)
        assert reason == "ZeroDivisionError"


async def sweeping_until(engine, job_id, state):
    async def reached():
        await engine.sweeper.sweep()
        return await engine.state(job_id) == state

    await eventually(reached, within_s=15)


@pytest.mark.fault("F6")
async def test_a_poisoned_head_of_a_lane_ends_with_its_reason_and_the_lane_goes_on(engine):
    async def handle(_run, payload):
        if payload.number == 0:
            raise KeyError("what nobody thought of")

    with job_kind(Wait, handle, retry_after_s=(0.0, 0.0)):
        head = await engine.ask(Wait(0), lane="one")
        behind = await engine.ask(Wait(1), lane="one")
        async with engine.working():
            await engine.until_dispatched_and(behind, "done")

    row = await engine.look.fetchrow("SELECT state, attempts, reason FROM job WHERE id = $1", head)
    assert tuple(row) == ("failed", 3, "KeyError")


async def test_a_failed_job_runs_again_when_requeued_with_rq(engine, rq):
    fail = True

    async def handle(_run, _payload):
        if fail:
            raise ZeroDivisionError

    with job_kind(Fail, handle, retry_after_s=()):
        job_id = await engine.ask(Fail(1))
        async with engine.working():
            await engine.until_state(job_id, "failed")
            fail = False
            registry = FailedJobRegistry("default", connection=rq)
            await eventually(lambda: bool(registry.get_job_ids()))
            registry.requeue(registry.get_job_ids()[0])

            await engine.until_state(job_id, "done")
        audit = await engine.look.fetchrow("SELECT actor, to_state FROM job_audit WHERE job_id = $1", job_id)
        assert tuple(audit) == ("rq requeue", "ready")


async def test_a_stale_dispatch_of_a_finished_job_runs_nothing(engine, rq):
    count = 0

    async def handle(_run, _payload):
        nonlocal count
        count += 1

    with job_kind(Wait, handle):
        job_id = await engine.ask(Wait(1))
        async with engine.working():
            await engine.until_state(job_id, "done")
            rq.rpush("rq:queue:default", f"{job_id}-1", f"{job_id}-1")
            await eventually(lambda: rq.llen("rq:queue:default") == 0)
            await engine.ask(Wait(2))
            await eventually(lambda: count == 2)

        assert await engine.state(job_id) == "done"


@pytest.mark.fault("F21")
async def test_a_provider_that_asks_to_slow_down_uses_up_no_attempt(engine):
    async def handle(_run, _payload):
        raise ProviderBusyError("slow down", retry_after_s=60)

    with job_kind(Wait, handle):
        job_id = await engine.ask(Wait(1))
        async with engine.working():
            await eventually(lambda: attempt_ended(engine, job_id))

    row = await engine.look.fetchrow(
        "SELECT state, attempts, due_at > now() + interval '50 s' AS later FROM job WHERE id = $1", job_id
    )
    assert (row["state"], row["attempts"], row["later"]) == ("ready", 0, True)


async def attempt_ended(engine, job_id):
    return await engine.look.fetchval("SELECT outcome FROM job_attempt WHERE job_id = $1", job_id) is not None


async def test_a_job_over_its_time_is_stopped_and_tried_again(engine):
    async def handle(_run, _payload):
        await asyncio.Event().wait()

    with job_kind(Wait, handle, timeout_s=0.2):
        job_id = await engine.ask(Wait(1))
        async with engine.working():
            await eventually(lambda: attempt_ended(engine, job_id))

    reason = await engine.look.fetchval("SELECT reason FROM job_attempt WHERE job_id = $1", job_id)
    assert reason == "TimeoutError"


async def test_draining_gives_back_what_does_not_end_in_time(engine):
    entered = asyncio.Event()

    async def handle(_run, _payload):
        entered.set()
        await asyncio.Event().wait()

    with job_kind(Wait, handle):
        job_id = await engine.ask(Wait(1))
        async with engine.working(grace_s=0.1):
            await asyncio.wait_for(entered.wait(), 5)

    row = await engine.look.fetchrow("SELECT state, attempts FROM job WHERE id = $1", job_id)
    assert tuple(row) == ("ready", 0)
    outcome = await engine.look.fetchval("SELECT outcome FROM job_attempt WHERE job_id = $1", job_id)
    assert outcome == "released"


async def test_a_run_that_lost_its_lease_is_cancelled(engine):
    cancelled = asyncio.Event()
    entered = asyncio.Event()

    async def handle(_run, _payload):
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with job_kind(Wait, handle):
        await engine.ask(Wait(1))
        async with engine.working(lease_s=1):
            await asyncio.wait_for(entered.wait(), 5)
            await engine.look.execute("UPDATE job SET token = token + 1")
            await asyncio.wait_for(cancelled.wait(), 5)


async def test_rq_sees_the_worker_what_runs_and_what_is_done(engine, rq):
    gate = asyncio.Event()

    async def handle(_run, _payload):
        await gate.wait()

    with job_kind(Wait, handle):
        job_id = await engine.ask(Wait(1))
        async with engine.working() as process:
            await eventually(
                lambda: f"{job_id}-1" in StartedJobRegistry("default", connection=rq).get_job_ids()
            )
            [worker] = Worker.all(connection=rq)
            assert (worker.name, worker.get_state()) == (process.name, "busy")
            assert sorted(worker.queue_names()) == ["default", "low", "maintenance"]

            gate.set()
            await eventually(
                lambda: FinishedJobRegistry("default", connection=rq).get_job_ids() == [f"{job_id}-1"]
            )
            assert StartedJobRegistry("default", connection=rq).get_job_ids() == []
            assert Queue("default", connection=rq).count == 0
        assert Worker.all(connection=rq) == []


async def test_suspending_with_rq_stops_the_taking_of_jobs(engine, rq):
    async def handle(_run, _payload):
        return

    with job_kind(Wait, handle):
        rq.set("rq:suspended", 1)
        async with engine.working():
            job_id = await engine.ask(Wait(1))
            await asyncio.sleep(0.3)
            assert await engine.state(job_id) == "ready"

            rq.delete("rq:suspended")
            await engine.until_state(job_id, "done")


@pytest.mark.fault("F6")
async def test_a_kind_that_this_worker_does_not_know_waits_for_an_upgrade(engine):
    async def handle(_run, _payload):
        return

    with job_kind(Wait, handle):
        job_id = await engine.ask(Wait(1))
        await engine.look.execute("UPDATE job SET version = 99")
        async with engine.working():
            await eventually(lambda: attempt_ended(engine, job_id))

    row = await engine.look.fetchrow("SELECT state, attempts, reason FROM job WHERE id = $1", job_id)
    assert tuple(row) == ("ready", 0, "waits for a worker that knows this kind")


async def test_a_run_whose_lease_ended_under_it_writes_nothing_and_runs_again(engine):
    tries = []

    async def handle(run, _payload):
        tries.append(run.token)
        if len(tries) == 1:
            async with engine.worker.driver() as connection:
                await connection.execute("UPDATE job SET lease_until = now() - interval '1 second'")
        async with run.step():
            pass

    with job_kind(Wait, handle):
        job_id = await engine.ask(Wait(1))
        async with engine.working():
            await sweeping_until(engine, job_id, "done")

    outcomes = await engine.look.fetch("SELECT outcome FROM job_attempt ORDER BY token")
    assert [one["outcome"] for one in outcomes] == ["released", "done"]
    assert tries == [1, 2]


async def attempt_started(engine, job_id):
    return await engine.look.fetchval("SELECT count(*) > 0 FROM job_attempt WHERE job_id = $1", job_id)


async def test_a_run_that_has_ended_has_no_lease_to_lose(engine):
    async def handle(_run, payload):
        if payload.number == 1:
            # Its report to RQ takes longer than a lease; the next of its lane must be woken all the same.
            await engine.redis.execute_command("CLIENT", "PAUSE", "1500", "WRITE")

    with job_kind(Wait, handle):
        await engine.ask(Wait(1), lane="chat")
        second = await engine.ask(Wait(2), lane="chat")
        async with engine.working(lease_s=0.3):
            await engine.until_state(second, "done")
