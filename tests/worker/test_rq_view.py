"""What RQ's own tools see of a worker is true: its figures, its runs, and what it does when told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
import redis as sync_redis
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.worker import Worker

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
