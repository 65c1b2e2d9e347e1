"""`scheduler:global_lock`: saves work when several schedulers run; correctness never needs it."""

from __future__ import annotations

from enum import StrEnum
from secrets import token_hex

from redis.asyncio import Redis
from redis.exceptions import RedisError

KEY = "scheduler:global_lock"
RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class Hold(StrEnum):
    """Who has the lock: we, another, or nobody can say because Redis is away."""

    OURS = "ours"
    ANOTHER = "another"
    UNKNOWN = "unknown"


class GlobalLock:
    """A lock with an owner's token and a time to live; released only by its owner."""

    def __init__(self, redis: Redis, *, ttl_s: int) -> None:
        self._redis = redis
        self._ttl_ms = ttl_s * 1000
        self.token = token_hex(16)

    async def hold(self) -> Hold:
        """Take the lock or renew it."""
        try:
            if await self._redis.eval(RENEW, 1, KEY, self.token, self._ttl_ms):
                return Hold.OURS
            taken = await self._redis.set(KEY, self.token, nx=True, px=self._ttl_ms)
        except (RedisError, OSError):
            return Hold.UNKNOWN
        return Hold.OURS if taken else Hold.ANOTHER

    async def release(self) -> None:
        """Free the lock if it is ours."""
        try:
            await self._redis.eval(RELEASE, 1, KEY, self.token)
        except (RedisError, OSError):
            return
