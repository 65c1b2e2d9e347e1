"""The connection to Redis."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


def connect_redis(url: str) -> Redis:
    """Return a client that gives up quickly: PostgreSQL is the truth, Redis only carries."""
    client: Redis = Redis.from_url(
        url,
        socket_connect_timeout=2,
        socket_timeout=5,
        health_check_interval=15,
        retry=Retry(NoBackoff(), 1),
    )
    return client
