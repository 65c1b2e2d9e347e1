"""Effects: at most one provider call for each thing said."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from server.errors import ProviderDownError, ProviderRefusedError, ProviderUnknownError
from server.ports import Accepted
from server.queue import Account, EffectState, Run, plan_effect, settle_effect
from server.queue.catalog import WebhookProcess
from server.queue.ledger import Ending, Ledger, Outcome
from tests.engine import BUSINESS, NOWHERE

KEY = "reply:1"
ACCOUNT = Account("whatsapp_bridge", "shop")


class Provider:
    """Counts what it is asked, and answers as told."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = 0

    async def __call__(self):
        self.calls += 1
        answer = self.answers.pop(0) if self.answers else Accepted("ref")
        if isinstance(answer, BaseException):
            raise answer
        return answer


async def claimed_run(engine):
    job_id = await engine.ask(WebhookProcess(uuid4()))
    [claim] = await Ledger(engine.worker, lease_s=10).claim([job_id], worker="w")
    run = Run(claim, database=engine.worker, outside=NOWHERE, lease_s=10)
    async with run.step() as session:
        await plan(session, run)
    return run


async def plan(session, run):
    await plan_effect(session, key=KEY, business_id=BUSINESS, provider="whatsapp_bridge", job_id=run.job_id)


async def next_run(engine, run):
    await Ledger(engine.worker, lease_s=10).end(run.claim, Ending(Outcome.RETRY))
    [claim] = await Ledger(engine.worker, lease_s=10).claim([run.job_id], worker="w2")
    return Run(claim, database=engine.worker, outside=NOWHERE, lease_s=10)


async def send(run, provider):
    async with run.effect(KEY, account=ACCOUNT) as effect:
        if effect.goes_out:
            effect.accept(await provider())
    return effect.result


async def effect_state(engine):
    return await engine.look.fetchval("SELECT state FROM effect WHERE key = $1", KEY)


@pytest.mark.fault("F20")
async def test_a_second_run_does_not_send_what_the_first_sent(engine):
    provider = Provider()
    run = await claimed_run(engine)
    await send(run, provider)

    again = await send(await next_run(engine, run), provider)

    assert (provider.calls, again.state, again.provider_ref) == (1, EffectState.SENT, "ref")


async def test_an_answer_that_never_came_is_unknown_and_never_sent_again(engine):
    provider = Provider(ProviderUnknownError("timed out"))
    run = await claimed_run(engine)

    first = await send(run, provider)
    second = await send(await next_run(engine, run), provider)

    assert (first.state, second.state, provider.calls) == (EffectState.UNKNOWN, EffectState.UNKNOWN, 1)


async def test_a_proof_of_not_sent_lets_the_next_run_send(engine):
    provider = Provider(ProviderDownError("not connected"))
    run = await claimed_run(engine)

    with pytest.raises(ProviderDownError):
        await send(run, provider)
    result = await send(await next_run(engine, run), provider)

    assert (result.state, provider.calls) == (EffectState.SENT, 2)


async def test_a_refusal_is_final(engine):
    provider = Provider(ProviderRefusedError("no such number"))
    run = await claimed_run(engine)

    first = await send(run, provider)
    second = await send(await next_run(engine, run), provider)

    assert (first.state, second.reason, provider.calls) == (EffectState.FAILED, "no such number", 1)


async def test_a_run_cancelled_in_the_call_leaves_unknown(engine):
    run = await claimed_run(engine)
    entered = asyncio.Event()

    async def hang():
        entered.set()
        await asyncio.Event().wait()

    sending = asyncio.create_task(send(run, hang))
    await entered.wait()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)

    assert await effect_state(engine) == "unknown"


async def test_what_a_dead_process_was_sending_becomes_unknown(engine):
    run = await claimed_run(engine)
    await engine.look.execute(
        "UPDATE effect SET state = 'sending', job_id = $1, token = $2, sending_at = now()",
        run.job_id,
        run.token,
    )
    await engine.look.execute("UPDATE job SET lease_until = now() - interval '1 second'")

    swept = await engine.sweeper.sweep()

    assert (swept.freed, swept.unknown_effects) == (1, 1)
    assert await effect_state(engine) == "unknown"


@pytest.mark.fault("F20")
async def test_evidence_from_outside_settles_an_unknown_effect(engine):
    run = await claimed_run(engine)
    await send(run, Provider(ProviderUnknownError("timed out")))

    async with engine.worker.transaction(BUSINESS) as session:
        settled = await settle_effect(session, key=KEY, state=EffectState.CONFIRMED, provider_ref="3EB0")

    assert settled
    assert await effect_state(engine) == "confirmed"
    # Why nobody knew is no reason any more, nor is what a person thought.
    assert await engine.look.fetchval("SELECT reason FROM effect WHERE key = $1", KEY) is None


@pytest.mark.fault("F20")
async def test_a_late_answer_of_the_first_process_is_accepted(engine):
    run = await claimed_run(engine)
    answered = asyncio.Event()

    async def slow():
        await answered.wait()
        return Accepted("late")

    sending = asyncio.create_task(send(run, slow))
    while await effect_state(engine) != "sending":
        await asyncio.sleep(0.01)
    later = await send(await next_run(engine, run), Provider())
    answered.set()
    await sending

    assert later.state is EffectState.UNKNOWN
    assert await effect_state(engine) == "sent"


async def test_a_block_that_ends_without_an_answer_is_a_bug_and_unknown(engine):
    run = await claimed_run(engine)

    with pytest.raises(AssertionError):
        async with run.effect(KEY, account=ACCOUNT):
            pass

    assert await effect_state(engine) == "unknown"
