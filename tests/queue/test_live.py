"""Hints reach the open pages of their business, and of no other."""

from __future__ import annotations

import asyncio

import pytest

from server.queue import Changed
from server.queue.live import RedisLive
from tests.engine import eventually, open_engine


@pytest.fixture
async def engine(clean_database, own_valkey):
    # Channels know no database numbers: on a shared server another test's hints would be heard too.
    async with open_engine(clean_database, own_valkey.url()) as engine:
        yield engine


async def test_a_commit_is_hinted_to_its_business_alone(engine):
    live = RedisLive(engine.redis)
    async with live.subscribe(6) as ours, live.subscribe(9) as theirs:
        await eventually(lambda: listening(engine))
        async with engine.api.transaction(6) as session:
            session.outbox.append(Changed(6, "conversation", "c1"))

        assert await asyncio.wait_for(anext(ours), 5) == Changed(6, "conversation", "c1")
        other = asyncio.ensure_future(anext(theirs))
        done, _ = await asyncio.wait([other], timeout=0.2)
        assert not done
        other.cancel()


async def listening(engine):
    return await engine.redis.pubsub_numpat() == 1


async def test_a_transaction_that_is_rolled_back_hints_nothing(engine):
    live = RedisLive(engine.redis)
    async with live.subscribe(6) as hints:
        await eventually(lambda: listening(engine))
        with pytest.raises(ZeroDivisionError):
            async with engine.api.transaction(6) as session:
                session.outbox.append(Changed(6, "conversation", "lost"))
                raise ZeroDivisionError
        async with engine.api.transaction(6) as session:
            session.outbox.append(Changed(6, "conversation", "kept"))

        assert (await asyncio.wait_for(anext(hints), 5)).id == "kept"


async def test_the_subscription_ends_with_the_last_page(engine):
    live = RedisLive(engine.redis)
    async with live.subscribe(6):
        await eventually(lambda: listening(engine))

    async def silent():
        return await engine.redis.pubsub_numpat() == 0

    await eventually(silent)
