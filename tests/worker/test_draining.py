"""A worker that stops leaves nobody in doubt: a send that has begun ends, and none is begun too late."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from server.ports import Accepted
from server.queue import Account, plan_effect
from tests.engine import BUSINESS, eventually, job_kind

ACCOUNT = Account("whatsapp_bridge", "shop")


@dataclass(frozen=True)
class Say:
    number: int


@dataclass
class Provider:
    """Takes a message after a while; notes when it is asked."""

    takes_s: float
    asked: asyncio.Event

    async def send(self):
        self.asked.set()
        await asyncio.sleep(self.takes_s)
        return Accepted("ref")


async def say(run, provider):
    async with run.step() as session:
        await plan_effect(
            session, key="reply:1", business_id=BUSINESS, provider="whatsapp_bridge", job_id=run.job_id
        )
    async with run.effect("reply:1", account=ACCOUNT) as effect:
        if effect.goes_out:
            effect.accept(await provider.send())


async def ended(engine):
    return [
        tuple(await engine.look.fetchrow("SELECT state, attempts FROM job")),
        await engine.look.fetchval("SELECT state FROM effect"),
    ]


@pytest.mark.fault("F28")
async def test_a_send_that_has_begun_is_not_cut_off_by_a_stop(engine):
    provider = Provider(1.0, asyncio.Event())

    async def handle(run, _payload):
        await say(run, provider)

    with job_kind(Say, handle):
        await engine.ask(Say(1))
        async with engine.working(grace_s=0.2):
            await asyncio.wait_for(provider.asked.wait(), 5)

    assert await ended(engine) == [("done", 1), "sent"]


@pytest.mark.fault("F28")
async def test_nothing_is_sent_in_a_workers_last_moments(engine):
    provider = Provider(0.0, asyncio.Event())
    entered, stopping = asyncio.Event(), asyncio.Event()

    async def handle(run, _payload):
        entered.set()
        await stopping.wait()
        await eventually(lambda: not run.may_send)
        await say(run, provider)

    with job_kind(Say, handle):
        await engine.ask(Say(1))
        async with engine.working(grace_s=2):
            await asyncio.wait_for(entered.wait(), 5)
            stopping.set()

    assert not provider.asked.is_set()
    assert await ended(engine) == [("ready", 0), "planned"]
