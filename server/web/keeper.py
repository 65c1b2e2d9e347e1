"""Who keeps time now, as far as Redis says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from redis.exceptions import RedisError

from server import clock

# Returns the scheduler that holds the lock, as host:pid; raises RedisError.
Timekeeper: TypeAlias = Callable[[], Awaitable[str | None]]
# A page has more to show than this, and waits no longer for it.
PATIENCE_S = 1.0


class Kept(StrEnum):
    """Whether time is kept; nobody can tell while Redis is away."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Keeper:
    """What a look at the lock found at a moment; `name` is host:pid of its holder."""

    kept: Kept
    name: str
    at: datetime


async def look_for(timekeeper: Timekeeper) -> Keeper:
    """Look who holds the lock; a Redis that does not answer in time is away."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            name = await timekeeper()
    except (RedisError, OSError, TimeoutError):
        return Keeper(Kept.UNKNOWN, "", clock.utc_now())
    return Keeper(Kept.YES if name else Kept.NO, name or "", clock.utc_now())
