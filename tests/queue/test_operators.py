"""What an operator does to work: recorded, bounded, and safe to do twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from server.errors import BadInputError
from server.queue.effects import EffectState
from server.queue.operators import Operators, Selection
from tests.engine import BUSINESS, eventually, job_kind


@dataclass(frozen=True)
class Chore:
    number: int


@dataclass(frozen=True)
class Errand:
    number: int


@pytest.fixture
def operators(engine):
    return Operators(engine.scheduler, engine.redis, actor="dana")


async def wait_for_ever(_run, _payload):
    await asyncio.Event().wait()


async def nothing(_run, _payload):
    return


async def audits(engine, job_id):
    rows = await engine.look.fetch(
        "SELECT from_state, to_state, actor, reason FROM job_audit WHERE job_id = $1 ORDER BY id", job_id
    )
    return [tuple(row) for row in rows]


async def test_a_job_that_waits_is_cancelled_at_once_and_recorded(engine, operators):
    with job_kind(Chore, nothing):
        job_id = await engine.ask(Chore(1))
        assert (await operators.cancel(job_id, reason="not needed")).state == "cancelled"
        async with engine.working():
            await engine.until_state(await engine.ask(Chore(2)), "done")

    assert await engine.state(job_id) == "cancelled"
    assert await audits(engine, job_id) == [("ready", "cancelled", "dana", "not needed")]


async def test_a_running_job_is_cancelled_within_two_seconds(engine, operators):
    with job_kind(Chore, wait_for_ever):
        job_id = await engine.ask(Chore(1))
        async with engine.working(lease_s=60) as process:
            await engine.until_state(job_id, "running")
            await eventually(lambda: listens(engine, process))
            assert (await operators.cancel(job_id, reason="enough")).worker == process.name
            assert await engine.until_state(job_id, "cancelled", within_s=2)

    outcome = await engine.look.fetchval("SELECT outcome FROM job_attempt WHERE job_id = $1", job_id)
    assert outcome == "cancelled"


async def listens(engine, process):
    return (await engine.redis.pubsub_numsub(f"rq:pubsub:{process.name}"))[0][1] == 1


async def test_without_redis_a_cancellation_is_seen_when_the_lease_is_renewed(engine, operators):
    with job_kind(Chore, wait_for_ever):
        job_id = await engine.ask(Chore(1))
        async with engine.working(lease_s=3):
            await engine.until_state(job_id, "running")
            await engine.look.execute("UPDATE job SET cancel_asked_at = now()")
            await engine.until_state(job_id, "cancelled", within_s=5)


async def test_a_job_whose_worker_died_before_it_could_stop_is_cancelled_all_the_same(engine, operators):
    with job_kind(Chore, nothing):
        job_id = await engine.ask(Chore(1))
        await engine.look.execute(
            "UPDATE job SET state = 'running', token = 1, attempts = 1, lease_until = now() - interval '1 s'"
        )
        await engine.look.execute(
            "INSERT INTO job_attempt (job_id, token, worker) VALUES ($1, 1, 'gone')", job_id
        )
        await operators.cancel(job_id, reason="enough")
        await engine.sweeper.sweep()

    assert await engine.state(job_id) == "cancelled"


async def test_what_has_ended_or_never_was_cannot_be_cancelled(engine, operators):
    with job_kind(Chore, nothing):
        job_id = await engine.ask(Chore(1))
        async with engine.working():
            await engine.until_state(job_id, "done")
        with pytest.raises(BadInputError, match="has ended already: done"):
            await operators.cancel(job_id, reason="late")
        with pytest.raises(BadInputError, match="There is no job"):
            await operators.cancel("nothing-6-abc", reason="late")


@pytest.mark.parametrize(("sort", "name"), [("kind", "chore_job"), ("queue", "low"), ("business", "6")])
async def test_paused_work_waits_and_goes_on_when_it_is_resumed(engine, operators, sort, name):
    with job_kind(Chore, nothing, queue="low"), job_kind(Errand, nothing):
        assert await operators.pause(sort, name, reason="deploy")
        assert not await operators.pause(sort, name, reason="again")
        chore = await engine.ask(Chore(1))
        async with engine.working():
            errand = await engine.ask(Errand(1))
            await eventually(lambda: not_dispatched(engine, chore))
            if sort != "business":
                await engine.until_state(errand, "done")
            assert (await engine.sweeper.sweep()).dispatched == 0
            assert await engine.state(chore) == "ready"

            assert await operators.resume(sort, name)
            await engine.sweeper.sweep()
            await engine.until_state(chore, "done")
        assert not await operators.resume(sort, name)


async def not_dispatched(engine, job_id):
    return await engine.look.fetchval("SELECT dispatched_at IS NULL FROM job WHERE id = $1", job_id)


async def test_only_what_exists_can_be_paused(operators):
    for sort, name in [("kind", "nosuch_job"), ("queue", "nowhere"), ("business", "dana"), ("person", "6")]:
        with pytest.raises(BadInputError):
            await operators.pause(sort, name, reason="deploy")


async def failed_jobs(engine, count):
    ids = [await engine.ask(Chore(number)) for number in range(count)]
    await engine.look.execute("UPDATE job SET state = 'failed', finished_at = now(), reason = 'Broken: pipe'")
    return ids


async def effect_of(engine, job_id, state):
    await engine.look.execute(
        "INSERT INTO effect (key, business_id, provider, job_id, state, sending_at)"
        " VALUES ($1, $2, 'whatsapp_bridge', $3, $4, now())",
        *(f"effect of {job_id}", BUSINESS, job_id, state),
    )


async def test_running_again_says_beforehand_what_was_sent_and_leaves_it(engine, operators):
    with job_kind(Chore, nothing):
        ids = await failed_jobs(engine, 5)
        for job_id, state in zip(ids, ["sent", "unknown", "failed", "planned"], strict=False):
            await effect_of(engine, job_id, state)
        selection = Selection(kind="chore_job", reason="broken")

        preview = await operators.preview(selection)
        assert (preview.jobs, preview.held_back) == (3, 2)
        assert preview.effects == {"sent": 1, "unknown": 1, "failed": 1, "planned": 1}

        assert await operators.run_again(selection, reason="pipe mended") == 3
        assert await operators.run_again(selection, reason="pipe mended") == 0
        assert [await engine.state(one) for one in ids] == ["failed", "failed", "ready", "ready", "ready"]
        assert await audits(engine, ids[2]) == [("failed", "ready", "dana", "pipe mended")]

        assert (await operators.preview(selection, even_sent=True)).jobs == 2
        assert await operators.run_again(selection, reason="meant", even_sent=True) == 2


async def test_two_operators_run_five_thousand_again_once(engine, operators):
    with job_kind(Chore, nothing):
        await engine.look.execute(
            "INSERT INTO job (id, business_id, kind, queue, urgency, state, reason, finished_at)"
            " SELECT 'chore_job-6-' || n, 6, 'chore_job', 'default', 0, 'failed', 'broken', now()"
            " FROM generate_series(1, 5000) AS n"
        )
        other = Operators(engine.scheduler, engine.redis, actor="noa")
        again = await asyncio.gather(
            *(one.run_again(Selection(), reason="mended") for one in (operators, other, operators))
        )

    assert sum(again) == 5000
    assert await engine.look.fetchval("SELECT count(*) FROM job_audit") == 5000


async def test_only_what_ended_badly_can_be_selected(operators):
    with pytest.raises(BadInputError, match="done"):
        await operators.run_again(Selection(states=["done"]), reason="once more")


async def test_an_unknown_effect_is_settled_once_by_hand(engine, operators):
    with job_kind(Chore, nothing):
        [job_id] = await failed_jobs(engine, 1)
        await effect_of(engine, job_id, "unknown")
        key = f"effect of {job_id}"
        assert [row["key"] for row in await operators.unknown_effects()] == [key]

        with pytest.raises(BadInputError, match="not sent"):
            await operators.settle(key, EffectState.SENT, reason="saw it")
        await operators.settle(key, EffectState.NOT_SENT, reason="asked the customer")
        with pytest.raises(BadInputError, match="no unknown effect"):
            await operators.settle(key, EffectState.CONFIRMED, reason="asked again")

    assert await engine.look.fetchval("SELECT state FROM effect") == "not_sent"
    assert (await audits(engine, job_id))[0][:3] == ("unknown", "not_sent", "dana")


async def test_the_tables_tell_what_is_queued_running_and_failed(engine, operators):
    with job_kind(Chore, wait_for_ever), job_kind(Errand, nothing, queue="low"):
        await operators.pause("queue", "low", reason="deploy")
        running = await engine.ask(Chore(1))
        await engine.ask(Errand(1))
        async with engine.working() as process:
            await engine.until_state(running, "running")
            queues = {row["kind"]: (*tuple(row)[2:4], row["paused"]) for row in await operators.queues()}
            [row] = await operators.running()

        assert queues == {"chore_job": (0, 1, False), "errand_job": (1, 0, True)}
        assert (row["id"], row["worker"], row["attempts"]) == (running, process.name, 1)
        await failed_jobs(engine, 0)
        assert len(await operators.ended_badly(Selection())) == 2
