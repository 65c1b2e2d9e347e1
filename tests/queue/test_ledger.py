"""Claims, leases and the fence."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text

from server.errors import LeaseLostError
from server.queue import Run
from server.queue.catalog import WebhookProcess
from server.queue.ledger import Ending, Ledger, Outcome
from tests.engine import NOWHERE


@pytest.fixture
def ledger(engine):
    return Ledger(engine.worker, lease_s=5)


def run_of(engine, claim):
    return Run(claim, database=engine.worker, outside=NOWHERE, lease_s=5)


async def expire_lease(engine, job_id):
    await engine.look.execute(
        "UPDATE job SET lease_until = now() - interval '1 second' WHERE id = $1", job_id
    )


async def test_a_job_is_claimed_by_one_of_many(engine, ledger):
    job_id = await engine.ask(WebhookProcess(uuid4()))

    claims = await asyncio.gather(*(ledger.claim([job_id], worker=f"w{n}") for n in range(8)))

    assert sum(len(found) for found in claims) == 1


async def test_only_the_head_of_a_lane_is_claimed_until_it_ends(engine, ledger):
    first = await engine.ask(WebhookProcess(uuid4()), lane="chat")
    second = await engine.ask(WebhookProcess(uuid4()), lane="chat")

    [head] = await ledger.claim([second, first], worker="w")
    assert head.job_id == first
    assert await ledger.claim([second], worker="w") == []

    await ledger.end(head, Ending(Outcome.DONE))
    [after] = await ledger.claim([second], worker="w")
    assert after.job_id == second


async def test_two_lanes_do_not_wait_for_each_other(engine, ledger):
    ids = [await engine.ask(WebhookProcess(uuid4()), lane=lane) for lane in ("one", "two")]

    assert {claim.job_id for claim in await ledger.claim(ids, worker="w")} == set(ids)


@pytest.mark.fault("F4")
async def test_a_run_that_was_taken_over_can_write_nothing(engine, ledger):
    job_id = await engine.ask(WebhookProcess(uuid4()))
    [stale] = await ledger.claim([job_id], worker="slow")
    await expire_lease(engine, job_id)
    await engine.sweeper.sweep()
    [fresh] = await ledger.claim([job_id], worker="fast")

    with pytest.raises(LeaseLostError):
        async with run_of(engine, stale).step() as session:
            await session.execute(text("UPDATE business SET name = 'stolen' WHERE id = 6"))

    assert await engine.look.fetchval("SELECT name FROM business WHERE id = 6") == "Dana"
    assert not await ledger.end(stale, Ending(Outcome.DONE))
    assert await ledger.end(fresh, Ending(Outcome.DONE))


async def test_a_handlers_last_writes_and_its_completion_commit_together(engine, ledger):
    job_id = await engine.ask(WebhookProcess(uuid4()))
    [claim] = await ledger.claim([job_id], worker="w")

    with pytest.raises(ZeroDivisionError):
        async with run_of(engine, claim).completing() as session:
            await session.execute(text("UPDATE business SET name = 'new' WHERE id = 6"))
            raise ZeroDivisionError
    assert await engine.state(job_id) == "running"

    async with run_of(engine, claim).completing() as session:
        await session.execute(text("UPDATE business SET name = 'new' WHERE id = 6"))
    assert await engine.state(job_id) == "done"
    assert await engine.look.fetchval("SELECT name FROM business WHERE id = 6") == "new"


async def test_a_step_sees_only_the_jobs_own_business(engine, ledger):
    job_id = await engine.ask(WebhookProcess(uuid4()))
    [claim] = await ledger.claim([job_id], worker="w")
    await engine.look.execute("INSERT INTO contact (business_id, name) VALUES (6, 'ours'), (9, 'theirs')")

    async with run_of(engine, claim).step() as session:
        names = (await session.execute(text("SELECT name FROM contact"))).scalars().all()

    assert names == ["ours"]


async def test_renewal_keeps_what_is_held_and_tells_what_is_lost(engine, ledger):
    held, lost = [await engine.ask(WebhookProcess(uuid4())) for _ in range(2)]
    claims = await ledger.claim([held, lost], worker="w")
    await engine.look.execute("UPDATE job SET token = token + 1 WHERE id = $1", lost)

    assert await ledger.renew([(claim.job_id, claim.token) for claim in claims]) == {(held, 1): False}


async def test_of_two_runs_of_one_job_only_the_one_that_holds_it_renews_and_ends(engine, ledger):
    job_id = await engine.ask(WebhookProcess(uuid4()))
    [lost] = await ledger.claim([job_id], worker="w")
    await engine.look.execute("UPDATE job SET state = 'ready', lease_until = NULL")
    [held] = await ledger.claim([job_id], worker="w")
    both = [(job_id, lost.token), (job_id, held.token)]

    assert await ledger.renew(both) == {(job_id, held.token): False}
    endings = [Ending(Outcome.FAILED, "not mine to say"), Ending(Outcome.DONE)]
    told = [(*one, ending) for one, ending in zip(both, endings, strict=True)]
    assert await ledger.end_all(told) == [False, True]

    assert await engine.state(job_id) == "done"
    outcomes = await engine.look.fetch("SELECT outcome FROM job_attempt ORDER BY token")
    assert [row["outcome"] for row in outcomes] == [None, "done"]


async def test_every_attempt_leaves_a_row_with_its_outcome(engine, ledger):
    job_id = await engine.ask(WebhookProcess(uuid4()))
    [first] = await ledger.claim([job_id], worker="w")
    await ledger.end(first, Ending(Outcome.RETRY, "busy", 0))
    [second] = await ledger.claim([job_id], worker="w")
    await ledger.end(second, Ending(Outcome.DONE))

    rows = await engine.look.fetch("SELECT token, outcome, reason FROM job_attempt ORDER BY token")
    assert [tuple(row) for row in rows] == [(1, "retry", "busy"), (2, "done", None)]


@pytest.mark.parametrize(
    ("outcome", "attempts"), [(Outcome.RETRY, 1), (Outcome.SNOOZED, 0), (Outcome.RELEASED, 0)]
)
async def test_only_a_retry_uses_up_an_attempt(engine, ledger, outcome, attempts):
    job_id = await engine.ask(WebhookProcess(uuid4()))
    [claim] = await ledger.claim([job_id], worker="w")

    await ledger.end(claim, Ending(outcome, "later", 60))

    row = await engine.look.fetchrow("SELECT state, attempts, due_at > now() AS later FROM job")
    assert (row["state"], row["attempts"], row["later"]) == ("ready", attempts, True)
