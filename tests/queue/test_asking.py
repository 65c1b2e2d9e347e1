"""Asking for a job."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
import pytest
import redis as sync_redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from server.queue import enqueue
from server.queue.asking import Dispatch
from server.queue.catalog import WebhookProcess
from server.queue.dispatch import FAILURE_TTL_S, RESULT_TTL_S
from server.queue.kinds import KINDS
from tests.engine import BUSINESS

VOLATILE = {"created_at", "enqueued_at", "data"}


@dataclass(frozen=True)
class Remind:
    reminder_id: str


async def test_asking_twice_for_the_same_work_is_one_job_and_one_dispatch(engine):
    event_id = uuid4()

    first = await engine.ask(WebhookProcess(event_id))
    second = await engine.ask(WebhookProcess(event_id))

    assert first == second
    assert await engine.look.fetchval("SELECT count(*) FROM job") == 1
    assert await engine.redis.llen("rq:queue:default") == 1


async def test_a_job_id_says_what_it_is_and_rq_accepts_it(engine):
    job_id = await engine.ask(WebhookProcess(uuid4()))

    assert re.fullmatch(r"webhook_process_job-6-[0-9a-f]{24}", job_id)
    [rq_id] = await engine.redis.lrange("rq:queue:default", 0, -1)
    assert Job(rq_id.decode(), connection=sync_redis.Redis()).id == f"{job_id}-1"


async def test_no_job_exists_when_the_transaction_is_rolled_back(engine):
    with pytest.raises(ZeroDivisionError):
        async with engine.api.transaction(BUSINESS) as session:
            await enqueue(session, WebhookProcess(uuid4()), business_id=BUSINESS)
            raise ZeroDivisionError

    await engine.dispatcher.flushed()
    assert await engine.look.fetchval("SELECT count(*) FROM job") == 0
    assert await engine.redis.llen("rq:queue:default") == 0


async def test_the_request_succeeds_and_the_row_waits_while_redis_is_away(engine):
    await engine.redis.connection_pool.disconnect()
    engine.redis.connection_pool.connection_kwargs["path"] = "/nonexistent/redis.sock"

    job_id = await engine.ask(WebhookProcess(uuid4()))

    row = await engine.look.fetchrow("SELECT state, dispatched_at FROM job WHERE id = $1", job_id)
    assert (row["state"], row["dispatched_at"]) == ("ready", None)


async def test_what_is_dispatched_is_what_rq_itself_writes(engine, redis_url):
    dispatch = Dispatch("webhook_process_job-6-abc", "webhook_process_job", "default", 6, 1)
    kind = KINDS["webhook_process_job"]

    await engine.dispatcher.send([dispatch])

    with sync_redis.Redis.from_url(redis_url) as client:
        ours = fields_of(client, f"rq:job:{dispatch.rq_id}")
        theirs = Queue("default", connection=client, serializer=JSONSerializer).enqueue_call(
            kind.dotted_name,
            args=(dispatch.job_id,),
            timeout=int(kind.timeout_s),
            result_ttl=RESULT_TTL_S,
            failure_ttl=FAILURE_TTL_S,
            job_id="theirs",
        )
        read_back = Job.fetch(dispatch.rq_id, connection=client, serializer=JSONSerializer)

        assert ours == fields_of(client, theirs.key)
        assert (read_back.func_name, read_back.args) == (theirs.func_name, [dispatch.job_id])
        assert client.smembers("rq:queues") == {b"rq:queue:default"}


def fields_of(client, key):
    return {
        name.decode(): value.decode()
        for name, value in client.hgetall(key).items()
        if name.decode() not in VOLATILE
    }


async def test_the_api_may_ask_but_neither_claim_nor_finish(engine):
    job_id = await engine.ask(WebhookProcess(uuid4()))

    async with engine.api.driver() as connection:
        await connection.execute("SELECT set_config('prosaas.businesses', '6', false)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE job SET state = 'done' WHERE id = $1", job_id)


async def test_nothing_of_a_payload_but_the_ledgers_id_is_in_redis(engine):
    event_id = uuid4()
    job_id = await engine.ask(WebhookProcess(event_id), lane="972501234567@s.whatsapp.net")

    keys = await engine.redis.keys("*")
    assert all(b"972501234567" not in key for key in keys)
    fields = await engine.redis.hgetall(f"rq:job:{job_id}-1")
    assert all(b"972501234567" not in value for value in fields.values())
