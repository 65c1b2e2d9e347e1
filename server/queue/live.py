"""Hints for open pages, carried by Redis pub/sub.

A hint that is lost costs a page two seconds: it reads its rows again anyway. One subscription
serves all pages of a process, and exists only while a page is open.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.queue.asking import Changed
from server.queue.dispatch import live_channel

EVERY_BUSINESS = live_channel("*")
AWAY_WAIT_S = 1.0
# A page that falls behind loses hints, never data.
MOST_WAITING = 100


class RedisLive:
    """Fans hints out to the pages of this process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._listeners: dict[int, set[asyncio.Queue[Changed]]] = defaultdict(set)
        self._reading: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def subscribe(self, business_id: int) -> AsyncIterator[AsyncIterator[Changed]]:
        """Listen to one business's hints until the block ends; silence while Redis is away."""
        hints: asyncio.Queue[Changed] = asyncio.Queue(MOST_WAITING)
        self._listeners[business_id].add(hints)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        try:
            yield _each(hints)
        finally:
            self._listeners[business_id].discard(hints)
            if not self._listeners[business_id]:
                del self._listeners[business_id]
            if not self._listeners and self._reading is not None:
                self._reading.cancel()
                self._reading = None

    async def _read(self) -> None:
        while True:
            with suppress(RedisError, OSError, TimeoutError):
                async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.psubscribe(EVERY_BUSINESS)
                    while True:
                        message = await pubsub.get_message(timeout=None)
                        if message is not None:
                            self._hand_out(message["channel"], message["data"])
            await asyncio.sleep(AWAY_WAIT_S)

    def _hand_out(self, channel: bytes, data: bytes) -> None:
        business_id = int(channel.rpartition(b":")[2])
        listeners = self._listeners.get(business_id)
        if not listeners:
            return
        topic, row_id = orjson.loads(data)
        for hints in listeners:
            with suppress(asyncio.QueueFull):
                hints.put_nowait(Changed(business_id, topic, row_id))


async def _each(hints: asyncio.Queue[Changed]) -> AsyncIterator[Changed]:
    while True:
        yield await hints.get()
