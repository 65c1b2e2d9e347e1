"""A lease that runs out is nobody's death while the process lives, however slow the machine or PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from server.errors import StoreUnavailableError
from server.queue.ledger import Ending, Ledger, Outcome
from server.worker.board import Held
from server.worker.child import settle_one
from server.worker.ends import release_strays
from server.worker.supervisor import Estate
from tests.engine import eventually, job_kind


@dataclass(frozen=True)
class Wait:
    number: int


@dataclass
class Gate:
    """A handler that notes that it began, and ends once it is opened."""

    entered: asyncio.Event
    opened: asyncio.Event

    async def handle(self, _run, _payload):
        self.entered.set()
        await self.opened.wait()


@pytest.fixture
def gate():
    gate = Gate(asyncio.Event(), asyncio.Event())
    with job_kind(Wait, gate.handle):
        yield gate


async def run_out(engine):
    """Let every lease run out before it is renewed, and have it swept."""

    async def freed():
        async with engine.scheduler.driver() as connection:
            await connection.execute("UPDATE job SET lease_until = now() - interval '1 second'")
        return (await engine.sweeper.sweep()).freed

    await eventually(freed)


async def standing(engine):
    return tuple(
        await engine.look.fetchrow("SELECT state, attempts, deaths FROM job WHERE kind = 'wait_job'")
    )


async def outcomes(engine):
    rows = await engine.look.fetch(
        "SELECT outcome FROM job_attempt WHERE job_id LIKE 'wait_job-%' ORDER BY token"
    )
    return [row["outcome"] for row in rows]


@pytest.mark.fault("F12")
async def test_a_lease_that_ran_out_under_a_living_worker_is_no_death(engine, gate):
    job_id = await engine.ask(Wait(1))
    async with engine.working(lease_s=1):
        await asyncio.wait_for(gate.entered.wait(), 5)
        await run_out(engine)
        gate.opened.set()
        await engine.until_dispatched_and(job_id, "done")

    assert await standing(engine) == ("done", 1, 0)
    assert await outcomes(engine) == ["released", "done"]


@pytest.mark.fault("F12")
async def test_a_job_set_aside_for_a_lease_goes_on_when_its_process_is_heard_of(engine, gate):
    job_id = await engine.ask(Wait(1))
    async with engine.working(lease_s=1):
        await asyncio.wait_for(gate.entered.wait(), 5)
        await engine.look.execute("UPDATE job SET deaths = 2")
        await run_out(engine)
        gate.opened.set()
        await engine.until_dispatched_and(job_id, "done")

    assert await standing(engine) == ("done", 1, 2)
    audited = await engine.look.fetch("SELECT from_state, to_state FROM job_audit")
    assert [tuple(row) for row in audited] == [("quarantined", "ready")]


async def test_a_death_is_taken_back_once(engine, gate):
    job_id = await engine.ask(Wait(1))
    ledger = Ledger(engine.worker, lease_s=5)
    [claim] = await ledger.claim([job_id], worker="w")
    await engine.look.execute("UPDATE job SET deaths = 1")
    await run_out(engine)

    assert [await ledger.lives(job_id, claim.token) for _ in range(2)] == [True, False]

    assert await standing(engine) == ("ready", 0, 1)


async def test_a_process_that_did_die_is_not_taken_for_alive(engine, gate):
    job_id = await engine.ask(Wait(1))
    ledger = Ledger(engine.worker, lease_s=5)
    [claim] = await ledger.claim([job_id], worker="w")
    await ledger.bury([(claim.job_id, claim.token)])

    assert not await ledger.lives(job_id, claim.token)

    assert await standing(engine) == ("ready", 1, 1)


@pytest.mark.fault("F11")
async def test_work_that_postgresql_did_not_let_end_is_given_back_and_done(engine):
    tries = []

    async def handle(run, _payload):
        tries.append(run.attempt)
        if len(tries) <= 5:
            raise StoreUnavailableError("PostgreSQL did not answer")

    with job_kind(Wait, handle):
        job_id = await engine.ask(Wait(1))
        async with engine.working():
            await engine.until_dispatched_and(job_id, "done")

    assert tries == [1] * 6
    assert await standing(engine) == ("done", 1, 0)


@pytest.mark.fault("F11")
async def test_a_claim_whose_answer_was_lost_is_given_back(engine, gate):
    first, second = [await engine.ask(Wait(number)) for number in range(2)]
    ledger = Ledger(engine.worker, lease_s=60)
    heard, unheard = await ledger.claim([first, second], worker="w")
    other = await ledger.claim([await engine.ask(Wait(3))], worker="another")

    await release_strays(ledger, "w", {(heard.job_id, heard.token)})

    running = await engine.look.fetch("SELECT id FROM job WHERE state = 'running'")
    assert {row["id"] for row in running} == {heard.job_id, other[0].job_id}
    row = await engine.look.fetchrow("SELECT state, attempts FROM job WHERE id = $1", unheard.job_id)
    assert tuple(row) == ("ready", 0)


@pytest.mark.usefixtures("gate")
async def test_a_death_that_an_operator_forgave_is_not_taken_back(engine):
    job_id = await engine.ask(Wait(1))
    ledger = Ledger(engine.worker, lease_s=5)
    [claim] = await ledger.claim([job_id], worker="w")
    await run_out(engine)
    [again] = await ledger.claim([job_id], worker="w")
    await ledger.end(again, Ending(Outcome.FAILED, "broken"))
    await ledger.reopen([job_id], [again.token], actor="rq requeue")
    [third] = await ledger.claim([job_id], worker="w")
    await ledger.bury([(job_id, third.token)])

    assert not await ledger.lives(job_id, claim.token)

    assert await standing(engine) == ("ready", 1, 1)


@pytest.mark.fault("F1")
@pytest.mark.usefixtures("gate")
async def test_what_a_dead_process_had_claimed_and_not_begun_is_no_death_of_its_own(engine):
    job_id = await engine.ask(Wait(1))
    ledger = Ledger(engine.worker, lease_s=60)
    await ledger.claim([job_id], worker="dead")

    await settle_one(Estate("dead", (), None), ledger, engine.dispatcher)

    assert await standing(engine) == ("ready", 0, 0)


@pytest.mark.usefixtures("gate")
async def test_a_neighbour_whose_lease_ran_out_before_the_estate_was_settled_keeps_no_death(engine):
    job_id = await engine.ask(Wait(1))
    ledger = Ledger(engine.worker, lease_s=5)
    [claim] = await ledger.claim([job_id], worker="dead")
    await run_out(engine)

    await settle_one(Estate("dead", (Held(0, job_id, claim.token),), None), ledger, engine.dispatcher)

    assert await standing(engine) == ("ready", 0, 0)
