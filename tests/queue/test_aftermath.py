"""Whatever ends a job badly is followed up once: what it had planned is called off, and its kind told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from server.jobs import effect_settled_job, job_given_up_job
from server.jobs.runtime import perform
from server.queue import AFTERMATHS, EffectState, own_jobs, plan_effect
from server.queue.asking import Asked
from server.queue.catalog import EffectSettled, JobGivenUp
from server.queue.kinds import KIND_OF, KINDS
from server.queue.ledger import Ending, Ledger, Outcome
from server.queue.operators import Operators, Selection
from server.queue.run import Run
from tests.engine import BUSINESS, NOWHERE, Engine, eventually, job_kind

__all__ = ["effect_settled_job", "job_given_up_job"]

DANA = UUID("00000000-0000-0000-0000-00000000d4a4")
KEY = "chore:1"
ANYBODY_WAITS = """
SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@dataclass(frozen=True)
class Chore:
    number: int


async def nothing(_run, _payload):
    return


@contextmanager
def chores(told):
    """A kind whose aftermath notes what it was told."""

    async def note(_run, _session, payload, given_up):
        told.append((payload, given_up.job_id, given_up.state))

    with job_kind(Chore, nothing):
        AFTERMATHS[KIND_OF[Chore].name] = note
        try:
            yield
        finally:
            del AFTERMATHS["chore_job"]


@pytest.fixture
def told():
    found: list[Any] = []
    with chores(found):
        yield found


@pytest.fixture
def ledger(engine):
    return Ledger(engine.worker, lease_s=20)


async def claimed(engine, ledger, deaths=0):
    job_id = await engine.ask(Chore(1))
    await engine.look.execute("UPDATE job SET deaths = $1", deaths)
    [claim] = await ledger.claim([job_id], worker="w")
    return claim


async def follow_ups(engine):
    rows = await engine.look.fetch(
        "SELECT * FROM job WHERE kind IN ('job_given_up_job', 'effect_settled_job') ORDER BY seq"
    )
    return [KINDS[row["kind"]].decode(row["payload"], row["version"]) for row in rows]


async def follow(engine, ledger):
    """Run the follow-ups that wait, and nothing beside them."""
    rows = await engine.look.fetch("SELECT id FROM job WHERE kind = 'job_given_up_job' AND state = 'ready'")
    for claim in await ledger.claim([row["id"] for row in rows], worker="w"):
        await perform(Run(claim, database=engine.worker, outside=NOWHERE, lease_s=20), ledger)


async def fails(engine, ledger):
    await ledger.end(await claimed(engine, ledger), Ending(Outcome.FAILED, "broken"))


async def is_stopped(engine, ledger):
    await ledger.end(await claimed(engine, ledger), Ending(Outcome.CANCELLED, "stopped"))


async def runs_out_of_time(engine, ledger):
    await ledger.end(await claimed(engine, ledger), Ending(Outcome.EXPIRED, "too late"))


async def would_be_tried_again(engine, ledger):
    claim = await claimed(engine, ledger)
    await engine.look.execute("UPDATE job SET cancel_asked_at = now()")
    await ledger.end(claim, Ending(Outcome.RETRY, "broken", 10))


async def kills_its_process(engine, ledger):
    claim = await claimed(engine, ledger, deaths=2)
    await ledger.bury([(claim.job_id, claim.token)])


async def loses_its_lease(engine, ledger):
    await claimed(engine, ledger, deaths=2)
    await engine.look.execute("UPDATE job SET lease_until = now() - interval '1 s'")
    await engine.sweeper.sweep()


async def loses_its_lease_though_cancelled(engine, ledger):
    await claimed(engine, ledger)
    await engine.look.execute("UPDATE job SET lease_until = now() - interval '1 s', cancel_asked_at = now()")
    await engine.sweeper.sweep()


async def expires(engine, ledger):
    await engine.ask(Chore(1))
    await engine.look.execute("UPDATE job SET expires_at = now() - interval '1 s'")
    await engine.sweeper.sweep()


async def is_cancelled_by_an_operator(engine, ledger):
    job_id = await engine.ask(Chore(1))
    await Operators(engine.scheduler, engine.redis, actor="op").cancel(job_id, reason="not needed")


async def is_cancelled_by_a_member(engine, ledger):
    job_id = await engine.ask(Chore(1))
    async with engine.api.transaction(BUSINESS, user_id=DANA) as session:
        await own_jobs.cancel(session, BUSINESS, job_id)


async def is_cancelled_by_the_code_before(engine, ledger):
    job_id = await engine.ask(Chore(1))
    async with engine.api.transaction(BUSINESS, user_id=DANA) as session:
        await (await session.connection()).exec_driver_sql("SELECT cancel_own_job($1)", (job_id,))


WAYS: list[tuple[Callable[[Engine, Ledger], Awaitable[None]], str]] = [
    (fails, "failed"),
    (is_stopped, "cancelled"),
    (runs_out_of_time, "expired"),
    (would_be_tried_again, "cancelled"),
    (kills_its_process, "quarantined"),
    (loses_its_lease, "quarantined"),
    (loses_its_lease_though_cancelled, "cancelled"),
    (expires, "expired"),
    (is_cancelled_by_an_operator, "cancelled"),
    (is_cancelled_by_a_member, "cancelled"),
    (is_cancelled_by_the_code_before, "cancelled"),
]


@pytest.mark.parametrize(("way", "state"), WAYS, ids=[way.__name__ for way, _ in WAYS])
async def test_a_job_that_ends_badly_is_followed_up_once(engine, ledger, queue, told, way, state):
    await way(engine, ledger)
    job_id = await engine.look.fetchval("SELECT id FROM job WHERE kind = 'chore_job'")
    [follow_up] = await follow_ups(engine)
    assert (follow_up.job_id, await engine.state(job_id)) == (job_id, state)

    await queue.drain()

    assert told == [(Chore(1), job_id, state)]
    assert len(await follow_ups(engine)) == 1


async def test_a_job_that_ends_well_or_waits_again_is_not_followed_up(engine, ledger, told):
    for outcome in (Outcome.RETRY, Outcome.SNOOZED, Outcome.RELEASED, Outcome.DONE):
        await engine.ask(Chore(1))
        await engine.look.execute("UPDATE job SET due_at = now()")
        [claim] = await ledger.claim(
            [row["id"] for row in await engine.look.fetch("SELECT id FROM job")], worker="w"
        )
        await ledger.renew([(claim.job_id, claim.token)])
        await ledger.end(claim, Ending(outcome))
    assert await engine.state(claim.job_id) == "done"

    assert await follow_ups(engine) == []


async def test_the_installations_own_job_has_nobody_to_tell(engine, told):
    await engine.look.execute(
        "INSERT INTO job (id, kind, queue, urgency) VALUES ('chore_job-all-1', 'chore_job', 'low', 4)"
    )
    await engine.look.execute("UPDATE job SET state = 'failed', finished_at = now()")

    assert await follow_ups(engine) == []


async def test_a_follow_up_that_fails_is_not_followed_up_itself(engine, ledger, told):
    await fails(engine, ledger)
    [job_id] = [row["id"] for row in await engine.look.fetch("SELECT id FROM job WHERE state = 'ready'")]
    [claim] = await ledger.claim([job_id], worker="w")
    await ledger.end(claim, Ending(Outcome.FAILED, "a bug"))

    assert len(await follow_ups(engine)) == 1


@pytest.mark.parametrize("payload_type", [JobGivenUp, EffectSettled])
async def test_the_database_asks_as_the_catalogue_would(engine, ledger, told, payload_type):
    await fails(engine, ledger)
    await unknown_effect(engine)
    await engine.look.execute("UPDATE effect SET state = 'not_sent'")
    kind = KIND_OF[payload_type]
    [row] = await engine.look.fetch("SELECT * FROM job WHERE kind = $1", kind.name)

    asked = Asked(kind.decode(row["payload"], 1), BUSINESS).row()
    assert row["due_at"] == row["created_at"]
    for column in ("business_id", "kind", "version", "queue", "urgency", "lane"):
        assert row[column] == asked[column]
    assert row["id"].rpartition("-")[0] == asked["id"].rpartition("-")[0]
    assert len(row["id"]) == len(asked["id"])


async def test_a_job_that_runs_again_meanwhile_is_left_alone_until_it_ends_badly_again(
    engine, ledger, queue, told
):
    await is_cancelled_by_an_operator(engine, ledger)
    [job_id] = [row["id"] for row in await engine.look.fetch("SELECT id FROM job WHERE kind = 'chore_job'")]
    operators = Operators(engine.scheduler, engine.redis, actor="op")
    await operators.pause("kind", "chore_job", reason="look first")
    await operators.run_again(Selection(states=["cancelled"]), reason="meant after all")
    await follow(engine, ledger)
    assert told == []

    await operators.cancel(job_id, reason="no, not after all")
    await queue.drain()

    assert told == [(Chore(1), job_id, "cancelled")]
    assert len(await follow_ups(engine)) == 2


async def test_a_job_that_is_run_again_while_its_follow_up_is_at_it_runs_again_after_it(engine, ledger, told):
    await is_cancelled_by_an_operator(engine, ledger)
    job_id = await id_of(engine, "chore_job")
    at_it, go_on = asyncio.Event(), asyncio.Event()

    async def linger(*_):
        at_it.set()
        await go_on.wait()

    AFTERMATHS["chore_job"] = linger
    following = asyncio.create_task(follow(engine, ledger))
    await at_it.wait()
    operators = Operators(engine.scheduler, engine.redis, actor="op")
    asked = operators.run_again(Selection(states=["cancelled"]), reason="meant after all")
    again = asyncio.create_task(asked)
    await eventually(lambda: engine.look.fetchval(ANYBODY_WAITS), what="an operator who waits")
    go_on.set()
    await following

    assert await again == 1
    assert await engine.state(job_id) == "ready"


async def id_of(engine, kind):
    return await engine.look.fetchval("SELECT id FROM job WHERE kind = $1 ORDER BY seq DESC", kind)


async def unknown_effect(engine, state="unknown", job_id=None):
    await engine.look.execute(
        "INSERT INTO effect (key, business_id, provider, job_id, token, state, sending_at, tries)"
        " VALUES ($1, $2, 'whatsapp_bridge', $4, 1, $3, now(), 1)",
        *(KEY, BUSINESS, state, job_id),
    )


async def effect(engine):
    row = await engine.look.fetchrow("SELECT state, reason, sending_at IS NULL AS never FROM effect")
    return tuple(row)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("planned", ("abandoned", "given up: its job is cancelled", True)),
        ("not_sent", ("abandoned", "given up: its job is cancelled", True)),
        ("sending", ("unknown", "the process that sent it ended", False)),
        ("unknown", ("unknown", None, False)),
        ("sent", ("sent", None, False)),
        ("failed", ("failed", None, False)),
    ],
)
async def test_what_a_given_up_job_had_planned_is_called_off(engine, ledger, before, after):
    with job_kind(Chore, nothing):
        job_id = await engine.ask(Chore(1))
        await unknown_effect(engine, before, job_id)
        await Operators(engine.scheduler, engine.redis, actor="op").cancel(job_id, reason="not needed")
        await follow(engine, ledger)

    assert await effect(engine) == after


async def test_what_was_called_off_is_planned_anew_and_goes_out_once(engine, ledger, told):
    await is_cancelled_by_an_operator(engine, ledger)
    job_id = await id_of(engine, "chore_job")
    await unknown_effect(engine, "planned", job_id)
    await follow(engine, ledger)
    assert (await effect(engine))[0] == "abandoned"
    await engine.look.execute("UPDATE job SET state = 'ready', due_at = now() WHERE id = $1", job_id)
    [claim] = await ledger.claim([job_id], worker="w")
    run = Run(claim, database=engine.worker, outside=NOWHERE, lease_s=20)

    async with run.step() as session:
        await plan_effect(session, key=KEY, business_id=BUSINESS, provider="whatsapp_bridge", job_id=job_id)

    begun = [await run._begin(KEY) for _ in range(2)]
    assert [one.state for one in begun] == [EffectState.SENDING, EffectState.UNKNOWN]


async def test_a_run_at_its_own_effect_asks_for_nothing(engine, ledger, queue, told):
    claim = await claimed(engine, ledger)
    run = Run(claim, database=engine.worker, outside=NOWHERE, lease_s=20)
    async with run.step() as session:
        await plan_effect(
            session, key=KEY, business_id=BUSINESS, provider="whatsapp_bridge", job_id=run.job_id
        )
    await run._begin(KEY)
    await run._accepted(KEY, "ref")
    await ledger.end(claim, Ending(Outcome.DONE))

    assert queue.asked == []


async def test_ten_thousand_cancelled_at_once_are_followed_up_within_a_bound(engine, told):
    await engine.look.execute(
        "INSERT INTO job (id, business_id, kind, payload, queue, urgency)"
        " SELECT 'chore_job-6-' || n, 6, 'chore_job', '{\"number\": 1}', 'default', 0"
        " FROM generate_series(1, 10000) AS n"
    )
    started = time.perf_counter()
    await engine.look.execute("UPDATE job SET state = 'cancelled', finished_at = now()")
    took_s = time.perf_counter() - started

    assert await engine.look.fetchval("SELECT count(*) FROM job WHERE kind = 'job_given_up_job'") == 10000
    assert took_s < 10
    # Nor do they hold up a message: they wait in the ledger, behind what is more urgent.
    urgent = await engine.ask(Chore(2))
    async with engine.working():
        await engine.until_dispatched_and(urgent, "done")


async def test_a_payload_that_nobody_can_read_is_called_off_and_told_to_nobody(engine, ledger, queue, told):
    job_id = await engine.ask(Chore(1))
    await unknown_effect(engine, "planned", job_id)
    await engine.look.execute("UPDATE job SET payload = '{}'")
    await Operators(engine.scheduler, engine.redis, actor="op").cancel(job_id, reason="not needed")
    await queue.drain()

    assert told == []
    assert (await effect(engine))[0] == "abandoned"


async def test_a_job_of_a_newer_version_waits_for_a_worker_that_can_tell(engine, ledger, told):
    job_id = await engine.ask(Chore(1))
    await engine.look.execute("UPDATE job SET version = 2")
    await Operators(engine.scheduler, engine.redis, actor="op").cancel(job_id, reason="not needed")
    await follow(engine, ledger)

    assert await engine.state(await id_of(engine, "job_given_up_job")) == "ready"
    assert told == []
