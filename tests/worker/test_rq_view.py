"""What RQ's own tools see of a worker is true: its figures, its runs, and what it does when told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import redis as sync_redis
from rq import Queue
from rq.command import send_command, send_shutdown_command, send_stop_execution_command, send_stop_job_command
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend
from rq.utils import current_timestamp, utcformat
from rq.worker import Worker, WorkerStatus

from server.errors import BadInputError
from server.queue.ledger import Ledger
from server.worker.rq_view import NOT_OURS, RqView, moment
from server.worker.taking import parse_dispatch
from tests.engine import eventually, job_kind


@dataclass(frozen=True)
class Wait:
    number: int


@pytest.fixture
def rq(redis_url):
    with sync_redis.Redis.from_url(redis_url) as client:
        yield client


def shown(rq, rq_id):
    return Job.fetch(rq_id, connection=rq, serializer=JSONSerializer)


async def until_worker(rq, condition):
    await eventually(lambda: [condition(one) for one in Worker.all(connection=rq)] == [True])


async def until_state(rq, state):
    await until_worker(rq, lambda worker: worker.get_state() == state)


async def nothing(_run, _payload):
    return


async def for_ever(_run, _payload):
    await asyncio.Event().wait()


async def until_shown(rq, rq_id):
    await eventually(lambda: rq_id in StartedJobRegistry("default", connection=rq).get_job_ids())


async def test_a_short_run_shows_when_it_began_and_ended_and_who_ran_it(engine, rq):
    before = datetime.now(UTC)

    with job_kind(Wait, nothing):
        job_id = await engine.ask(Wait(1))
        async with engine.working() as process:
            await eventually(lambda: shown(rq, f"{job_id}-1").get_status() is JobStatus.FINISHED)

    job = shown(rq, f"{job_id}-1")
    assert before <= job.started_at <= job.ended_at <= datetime.now(UTC)
    assert (job.last_heartbeat, job.worker_name) == (job.ended_at, process.name)


def test_a_moment_is_written_as_rq_writes_it():
    for at in (datetime(2026, 1, 2, 3, 4, 5, 0, UTC), datetime(2026, 11, 25, 18, 59, 59, 120, UTC)):
        assert moment(at) == utcformat(at)


async def test_a_worker_shows_what_it_did_as_it_does_it(engine, rq):
    async def handle(_run, payload):
        await asyncio.sleep(0.3)
        if payload.number == 2:
            raise BadInputError("bad", "it was bad")

    with job_kind(Wait, handle):
        await engine.ask(Wait(1))
        await engine.ask(Wait(2))
        async with engine.working():
            await until_worker(rq, lambda one: (one.successful_job_count, one.failed_job_count) == (1, 1))
            await until_state(rq, WorkerStatus.IDLE)
            [worker] = Worker.all(connection=rq)
            assert 0.6 <= worker.total_working_time < 5
            assert worker.ip_address != "unknown"


async def test_a_run_that_failed_says_which_run_it_was(engine, rq):
    async def handle(_run, _payload):
        raise BadInputError("bad", "it was bad")

    with job_kind(Wait, handle):
        job_id = await engine.ask(Wait(1))
        async with engine.working() as process:
            await eventually(lambda: bool(FailedJobRegistry("default", connection=rq).get_job_ids()))

    result = shown(rq, f"{job_id}-1").latest_result()
    assert (result.exc_string, result.worker_name, result.execution_id) == ("it was bad", process.name, "1")
    assert result.execution_started_at <= result.execution_ended_at


async def test_a_run_that_ended_before_it_was_shown_is_not_shown_as_running_afterwards(engine, rq):
    async def handle(_run, _payload):
        # What is told of its end waits longer than a run must last to be shown.
        await engine.redis.execute_command("CLIENT", "PAUSE", "1000", "WRITE")

    with job_kind(Wait, handle):
        job_id = await engine.ask(Wait(1))
        async with engine.working():
            # Looked at without a write: it would wait as well, and hold up the worker in this loop.
            await eventually(lambda: rq.zrange("rq:finished:default", 0, -1) == [f"{job_id}-1".encode()])

    assert rq.zcard("rq:wip:default") == 0
    assert shown(rq, f"{job_id}-1").get_status() is JobStatus.FINISHED


class LateLedger(Ledger):
    """Records an end at once and says so late, as a busy machine's does."""

    async def end(self, claim, ending):
        recorded = await super().end(claim, ending)
        await asyncio.sleep(1 if recorded else 0)
        return recorded


@pytest.mark.parametrize("lease_s", [0.9, 30], ids=["its lease was renewed", "its worker stopped"])
async def test_a_run_is_shown_as_it_ended_whatever_befell_it_meanwhile(engine, rq, lease_s):
    async def handle(_run, _payload):
        raise BadInputError("bad", "it was bad")

    with job_kind(Wait, handle):
        job_id = await engine.ask(Wait(1))
        async with engine.working(lease_s=lease_s, grace_s=0) as process:
            process._ledger = LateLedger(engine.worker, lease_s=lease_s)
            await engine.until_state(job_id, "failed")
            if lease_s < 1:
                await eventually(lambda: not process._running)

    assert rq.zrange("rq:failed:default", 0, -1) == [f"{job_id}-1".encode()]


async def test_a_job_of_somebody_elses_is_kept_as_failed_and_not_run(engine, rq):
    with job_kind(Wait, nothing):
        foreign = Queue("default", connection=rq).enqueue("os.getcwd", meta={"whose": "not ours"})
        like_ours = Queue("default", connection=rq).enqueue("os.getcwd", job_id="webhook-6-abc-1")
        async with engine.working():
            failed = FailedJobRegistry("default", connection=rq)
            await eventually(lambda: set(failed.get_job_ids()) == {foreign.id, like_ours.id})

            failed.requeue(foreign.id)
            await eventually(lambda: foreign.id in failed.get_job_ids())

    assert foreign.get_status() is JobStatus.FAILED
    assert Job.fetch(foreign.id, connection=rq).meta == {"whose": "not ours"}
    result = foreign.latest_result()
    assert result is not None
    assert result.exc_string == NOT_OURS
    assert rq.ttl(foreign.key) == -1


@pytest.mark.parametrize(
    "rq_id", [f"wait_job-6-a-{'9' * 5000}", f"wait_job-{'9' * 5000}-a-1", "wait_job-6-a-"]
)
def test_an_id_that_no_ledger_made_is_not_read_as_one_of_ours(rq_id):
    assert parse_dispatch(rq_id, "default") is None


async def test_an_id_that_nobody_can_read_takes_no_other_job_with_it(engine, rq):
    with job_kind(Wait, nothing):
        rq.rpush("rq:queue:default", b"\xff\xfe", "no such job")
        job_id = await engine.ask(Wait(1))
        async with engine.working():
            await engine.until_state(job_id, "done")


async def test_a_stopped_job_is_shown_as_stopped_and_requeueing_all_does_not_bring_it_back(engine, rq):
    with job_kind(Wait, for_ever):
        job_id = await engine.ask(Wait(1))
        async with engine.working():
            await until_shown(rq, f"{job_id}-1")
            send_stop_job_command(rq, f"{job_id}-1", serializer=JSONSerializer)
            await eventually(lambda: shown(rq, f"{job_id}-1").get_status() is JobStatus.STOPPED)

            assert await engine.state(job_id) == "cancelled"
            assert FailedJobRegistry("default", connection=rq).get_job_ids() == []
            assert rq.zcard("rq:wip:default") == 0


async def test_stopping_one_run_stops_no_other_run_of_its_job(engine, rq):
    with job_kind(Wait, for_ever):
        job_id = await engine.ask(Wait(1))
        async with engine.working() as process:
            await until_shown(rq, f"{job_id}-1")
            told = {"job_id": f"{job_id}-1", "execution_id": "7"}
            send_command(rq, process.name, "stop-execution", **told)
            send_command(rq, process.name, "no-such-command")
            rq.publish(f"rq:pubsub:{process.name}", "not a command")
            send_stop_execution_command(rq, f"{job_id}-1", "1")
            await engine.until_state(job_id, "cancelled")

    # A cancelled job has a follow-up, with attempts of its own.
    attempts = await engine.look.fetch("SELECT token, outcome FROM job_attempt WHERE job_id = $1", job_id)
    assert [tuple(one) for one in attempts] == [(1, "cancelled")]


async def test_rqs_shutdown_command_lets_a_worker_end_what_it_runs_and_leave(engine, rq):
    gate = asyncio.Event()

    async def handle(_run, _payload):
        await gate.wait()

    with job_kind(Wait, handle):
        job_id = await engine.ask(Wait(1))
        async with engine.working() as process:
            await until_shown(rq, f"{job_id}-1")
            send_shutdown_command(rq, process.name)
            await eventually(lambda: process.is_stopping)
            gate.set()
            await eventually(lambda: Worker.all(connection=rq) == [])

    assert await engine.state(job_id) == "done"


async def test_a_worker_shows_that_it_is_suspended(engine, rq):
    with job_kind(Wait, nothing):
        async with engine.working():
            await until_state(rq, WorkerStatus.IDLE)
            suspend(rq)
            await until_state(rq, WorkerStatus.SUSPENDED)
            resume(rq)
            await until_state(rq, WorkerStatus.IDLE)


async def test_what_outlived_its_time_leaves_rqs_registries_though_no_tool_looks(engine, rq):
    past, future = current_timestamp() - 1, current_timestamp() + 60
    registries = [f"rq:{name}:default" for name in ("finished", "failed", "wip")]
    for registry in registries:
        rq.zadd(registry, {"gone:1": past, "stays:1": future})
    view = RqView(["default"], name=f"test-{uuid4().hex[:6]}", client=engine.redis)

    await view.register()
    await view.heartbeat([])

    assert [rq.zrange(registry, 0, -1) for registry in registries] == [[b"stays:1"]] * 3


async def test_a_beat_shows_that_a_run_lives_and_brings_back_nothing_that_redis_lost(engine, rq):
    with job_kind(Wait, for_ever):
        job_id = await engine.ask(Wait(1))
        async with engine.working() as process:
            await until_shown(rq, f"{job_id}-1")
            job = shown(rq, f"{job_id}-1")
            claims = [one.run.claim for one in process._running.values()]

            await process._view.heartbeat(claims)
            assert shown(rq, job.id).last_heartbeat > job.last_heartbeat
            assert job.started_at - timedelta(seconds=1) < job.last_heartbeat

            rq.delete(job.key)
            await process._view.heartbeat(claims)
            assert not rq.exists(job.key)
