"""An effect that is settled outside its run, by hand or by evidence, is followed up once."""

from __future__ import annotations

from uuid import UUID

import pytest

from server.jobs import effect_settled_job
from server.queue import EffectState, own_jobs, plan_effect, settle_effect
from server.queue.catalog import EffectSettled
from server.queue.effects import record_accepted
from server.queue.operators import Operators
from tests.engine import BUSINESS

__all__ = ["effect_settled_job"]

DANA = UUID("00000000-0000-0000-0000-00000000d4a4")
KEY = "reply:1"


async def unknown_effect(engine):
    await engine.look.execute(
        "INSERT INTO effect (key, business_id, provider, token, state, sending_at, tries)"
        " VALUES ($1, $2, 'whatsapp_bridge', 1, 'unknown', now(), 1)",
        *(KEY, BUSINESS),
    )


async def state_of(engine):
    return await engine.look.fetchval("SELECT state FROM effect")


async def test_what_an_operator_stopped_looking_for_is_never_planned_anew(engine):
    await unknown_effect(engine)
    operators = Operators(engine.scheduler, engine.redis, actor="op")
    await operators.settle(KEY, EffectState.ABANDONED, reason="nobody knows")

    async with engine.worker.transaction(BUSINESS) as session:
        await plan_effect(session, key=KEY, business_id=BUSINESS, provider="whatsapp_bridge", job_id="x-6-1")

    assert await state_of(engine) == "abandoned"


async def settles_by_hand(engine):
    await Operators(engine.scheduler, engine.redis, actor="op").settle(
        KEY, EffectState.CONFIRMED, reason="asked the customer"
    )


async def settles_as_a_member(engine):
    async with engine.api.transaction(BUSINESS, user_id=DANA) as session:
        await own_jobs.settle(session, BUSINESS, KEY, EffectState.NOT_SENT)


async def hears_the_provider_late(engine):
    async with engine.worker.driver() as connection:
        await record_accepted(connection, KEY, "ref")


async def reads_a_receipt(engine):
    async with engine.worker.transaction(BUSINESS) as session:
        await settle_effect(session, key=KEY, state=EffectState.CONFIRMED, provider_ref="ref")


@pytest.mark.parametrize(
    ("settles", "state"),
    [
        (settles_by_hand, "confirmed"),
        (settles_as_a_member, "not_sent"),
        (hears_the_provider_late, "sent"),
        (reads_a_receipt, "confirmed"),
    ],
)
async def test_an_effect_settled_outside_its_run_is_followed_up_once(engine, queue, settles, state):
    await unknown_effect(engine)
    await settles(engine)

    assert queue.asked == [EffectSettled(KEY, 1, state)]
    await queue.drain()
    assert queue.asked == []


@pytest.mark.parametrize("state", ["not_sent", "abandoned"])
async def test_proof_that_it_went_out_undoes_what_a_person_concluded(engine, queue, state):
    await unknown_effect(engine)
    await Operators(engine.scheduler, engine.redis, actor="op").settle(
        KEY, EffectState(state), reason="guess"
    )
    await reads_a_receipt(engine)

    assert await state_of(engine) == "confirmed"
    assert queue.asked == [EffectSettled(KEY, 1, state), EffectSettled(KEY, 1, "confirmed")]
