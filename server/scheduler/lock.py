"""`scheduler:global_lock`: saves work when several schedulers run; correctness never needs it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from enum import StrEnum
from secrets import token_hex

from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.clock import monotonic_s
from server.queue.schedules import LOCK_KEY

# Renew it, or take it where it is free; otherwise say how many milliseconds its owner's renewal still lasts,
# -1 where that is for ever.
HOLD = """
local owner = redis.call('GET', KEYS[1])
if not owner or owner == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return -3
end
return redis.call('PTTL', KEYS[1])
"""
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
OURS = -3
# When a lock ends is known no better than this: Redis answers sooner or later.
SAME_END_S = 0.25


class Hold(StrEnum):
    """Who has the lock: we, another, or nobody can say because Redis is away."""

    OURS = "ours"
    ANOTHER = "another"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Held:
    """Who has the lock, and for how many seconds another has not been heard of."""

    by: Hold
    silent_s: float = 0.0


class GlobalLock:
    """A lock with an owner's token and a time to live; released only by its owner."""

    def __init__(self, redis: Redis, *, ttl_s: int) -> None:
        self._redis = redis
        self._ttl_s = ttl_s
        self._ends_s = self._renewed_s = 0.0
        # Who it is stands first, for whoever looks the lock up.
        self.token = f"{socket.gethostname()}:{os.getpid()}:{token_hex(8)}"

    async def hold(self) -> Held:
        """Take the lock or renew it."""
        try:
            left_ms = await self._redis.eval(HOLD, 1, LOCK_KEY, self.token, self._ttl_s * 1000)
        except (RedisError, OSError):
            return Held(Hold.UNKNOWN)
        if left_ms == OURS:
            return Held(Hold.OURS)
        return Held(Hold.ANOTHER, self._silent_s(left_ms / 1000))

    def _silent_s(self, left_s: float) -> float:
        """Return for how long we have seen another renew nothing.

        How long its lock may live says little of that: other settings or somebody's hand may have set it.
        """
        now_s = monotonic_s()
        ends_s = now_s + left_s if left_s >= 0 else 0.0
        if abs(ends_s - self._ends_s) > SAME_END_S:
            self._ends_s, self._renewed_s = ends_s, now_s
        return now_s - self._renewed_s

    async def release(self) -> None:
        """Free the lock if it is ours."""
        try:
            await self._redis.eval(RELEASE, 1, LOCK_KEY, self.token)
        except (RedisError, OSError):
            return
