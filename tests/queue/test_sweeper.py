"""The sweeper puts right what faults left behind."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from server.queue.catalog import WebhookProcess
from server.queue.ledger import Ledger
from server.queue.sweeper import GENERATION_KEY, WHOLE


async def rq_ids(engine, queue="default"):
    return [one.decode() for one in await engine.redis.lrange(f"rq:queue:{queue}", 0, -1)]


@pytest.mark.fault("F7")
async def test_after_a_flush_everything_that_waited_is_dispatched_again(engine):
    ids = [await engine.ask(WebhookProcess(uuid4())) for _ in range(5)]
    await engine.sweeper.sweep()
    await engine.redis.flushdb()

    swept = await engine.sweeper.sweep()

    assert (swept.found_lost, swept.dispatched) == (5, 5)
    assert sorted(await rq_ids(engine)) == sorted(f"{one}-2" for one in ids)


@pytest.mark.fault("F7")
async def test_a_look_after_a_flush_that_breaks_off_is_taken_up_again(engine):
    await engine.ask(WebhookProcess(uuid4()))
    await engine.sweeper.sweep()
    await engine.redis.flushdb()
    # Redis refuses to say how long this line is, once the look has begun.
    await engine.redis.set("rq:queue:default", "no line")
    assert (await engine.sweeper.sweep()).found_lost == 0
    await engine.redis.delete("rq:queue:default")
    assert not await engine.sweeper.knows_redis()

    swept = await engine.sweeper.sweep()

    assert (swept.found_lost, swept.dispatched) == (1, 1)
    assert await engine.sweeper.knows_redis()


async def test_what_still_waits_in_redis_is_not_dispatched_twice(engine):
    job_id = await engine.ask(WebhookProcess(uuid4()))
    await engine.look.execute("UPDATE job SET dispatched_at = now() - interval '1 hour'")
    await engine.redis.set(GENERATION_KEY, WHOLE)

    swept = await engine.sweeper.sweep()

    assert (swept.found_lost, swept.dispatched) == (0, 0)
    assert await rq_ids(engine) == [f"{job_id}-1"]


async def test_what_a_worker_took_and_has_not_claimed_yet_is_not_called_lost(engine):
    job_id = await engine.ask(WebhookProcess(uuid4()))
    await engine.look.execute("UPDATE job SET dispatched_at = now() - interval '1 hour'")
    await engine.redis.set(GENERATION_KEY, WHOLE)
    assert await engine.redis.lpop("rq:queue:default") == f"{job_id}-1".encode()

    swept = await engine.sweeper.sweep()
    assert (swept.found_lost, swept.dispatched) == (0, 0)

    # Whoever took it never claimed it.
    swept = await engine.sweeper.sweep()
    assert (swept.found_lost, swept.dispatched) == (1, 1)
    assert await rq_ids(engine) == [f"{job_id}-2"]


async def test_a_delayed_job_is_dispatched_when_due_and_not_before(engine):
    job_id = await engine.ask(WebhookProcess(uuid4()), due_in=timedelta(hours=1))
    await engine.sweeper.sweep()
    assert await rq_ids(engine) == []

    await engine.look.execute("UPDATE job SET due_at = now()")
    await engine.sweeper.sweep()
    assert await rq_ids(engine) == [f"{job_id}-1"]


@pytest.mark.fault("F5")
async def test_a_job_whose_process_died_three_times_is_quarantined(engine):
    job_id = await engine.ask(WebhookProcess(uuid4()))
    for _ in range(3):
        [claim] = await Ledger(engine.worker, lease_s=5).claim([job_id], worker="w")
        assert claim.job_id == job_id
        await engine.look.execute("UPDATE job SET lease_until = now() - interval '1 second'")
        await engine.sweeper.sweep()

    row = await engine.look.fetchrow("SELECT state, deaths, reason FROM job WHERE id = $1", job_id)
    assert (row["state"], row["deaths"]) == ("quarantined", 3)
    assert row["reason"] == "its process died 3 times"
    outcomes = await engine.look.fetch("SELECT outcome FROM job_attempt ORDER BY token")
    assert [one["outcome"] for one in outcomes] == ["lost", "lost", "quarantined"]


async def test_a_job_whose_time_has_passed_expires_with_an_audit_row(engine):
    job_id = await engine.ask(WebhookProcess(uuid4()))
    await engine.look.execute("UPDATE job SET expires_at = now() - interval '1 second'")

    await engine.sweeper.sweep()

    assert await engine.state(job_id) == "expired"
    assert await engine.look.fetchval("SELECT to_state FROM job_audit WHERE job_id = $1", job_id) == "expired"


async def test_a_live_lease_is_left_alone(engine):
    job_id = await engine.ask(WebhookProcess(uuid4()))
    await Ledger(engine.worker, lease_s=60).claim([job_id], worker="w")

    swept = await engine.sweeper.sweep()

    assert swept.freed == 0
    assert await engine.state(job_id) == "running"


@pytest.mark.parametrize("times", [2])
async def test_sweeping_twice_changes_nothing_more(engine, times):
    await engine.ask(WebhookProcess(uuid4()))
    await engine.redis.flushdb()
    for _ in range(times):
        await engine.sweeper.sweep()

    swept = await engine.sweeper.sweep()

    assert not swept.did_something
    assert len(await rq_ids(engine)) == 1


async def test_work_of_a_newer_release_is_dispatched_and_holds_back_nothing(engine):
    known = await engine.ask(WebhookProcess(uuid4()))
    newer = known.replace("webhook_process_job", "newer_job")
    await engine.look.execute("UPDATE job SET dispatched_at = NULL, dispatch_no = 0")
    await engine.look.execute(
        "INSERT INTO job (id, business_id, kind, queue, urgency, due_at)"
        " VALUES ($1, 6, 'newer_job', 'default', 0, now() - interval '1 s')",
        newer,
    )
    await engine.redis.flushdb()

    await engine.sweeper.sweep()

    assert await rq_ids(engine) == [f"{newer}-1", f"{known}-1"]
    assert await engine.redis.hget(f"rq:job:{newer}-1", "origin") == b"default"
