"""The global lock: an owner's token, a time to live, released by its owner only."""

from __future__ import annotations

import pytest

from server.queue.schedules import LOCK_KEY
from server.scheduler.lock import GlobalLock, Hold


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
