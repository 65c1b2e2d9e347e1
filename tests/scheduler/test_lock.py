"""The global lock: an owner's token, a time to live, released by its owner only."""

from __future__ import annotations

import pytest

from server.clock import monotonic_s
from server.queue.schedules import LOCK_KEY
from server.scheduler.lock import GlobalLock, Hold
from tests.engine import eventually


async def test_one_of_two_holds_it_and_renews_it(engine):
    first, second = GlobalLock(engine.redis, ttl_s=30), GlobalLock(engine.redis, ttl_s=30)

    assert (await first.hold()).by is Hold.OURS
    assert (await second.hold()).by is Hold.ANOTHER
    await engine.redis.pexpire(LOCK_KEY, 1000)
    assert (await first.hold()).by is Hold.OURS
    assert await engine.redis.pttl(LOCK_KEY) > 20_000


async def test_the_token_is_what_redis_shows(engine):
    lock = GlobalLock(engine.redis, ttl_s=30)
    await lock.hold()

    assert (await engine.redis.get(LOCK_KEY)).decode() == lock.token


async def test_only_its_owner_releases_it(engine):
    first, second = GlobalLock(engine.redis, ttl_s=30), GlobalLock(engine.redis, ttl_s=30)
    await first.hold()

    await second.release()
    assert (await second.hold()).by is Hold.ANOTHER

    await first.release()
    assert (await second.hold()).by is Hold.OURS


@pytest.mark.fault("F16")
async def test_a_deleted_lock_is_taken_again(engine):
    lock = GlobalLock(engine.redis, ttl_s=30)
    await lock.hold()
    await engine.redis.delete(LOCK_KEY)

    assert (await lock.hold()).by is Hold.OURS


@pytest.mark.fault("F16")
@pytest.mark.parametrize("lives", [{}, {"px": 90_000}], ids=["for ever", "for longer than ours"])
async def test_an_owner_that_never_renews_is_silent_however_long_its_lock_lives(engine, lives):
    await engine.redis.set(LOCK_KEY, "nobody:1:0", **lives)
    lock = GlobalLock(engine.redis, ttl_s=30)

    async def is_silent():
        held = await lock.hold()
        assert held.by is Hold.ANOTHER
        return held.silent_s > 0.5

    await eventually(is_silent, within_s=2, what="an owner that is silent")
    await lock.release()
    assert await engine.redis.get(LOCK_KEY) == b"nobody:1:0"


async def test_an_owner_that_renews_is_not_silent(engine):
    owner, lock = GlobalLock(engine.redis, ttl_s=90), GlobalLock(engine.redis, ttl_s=30)
    began = monotonic_s()

    async def has_looked_for_long():
        await owner.hold()
        assert (await lock.hold()).silent_s < 0.5
        return monotonic_s() - began > 1

    await eventually(has_looked_for_long, within_s=5)
