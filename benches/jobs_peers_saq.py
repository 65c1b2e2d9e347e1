"""SAQ on Redis, a hundred jobs at a time in each process."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from redis.asyncio import Redis
from saq import Worker
from saq.queue.redis import RedisQueue

from benches import jobs_work

CONCURRENCY = 100


def queue() -> RedisQueue:
    # The client's own limit is a hundred: fewer than so many jobs and the worker's housekeeping need.
    return RedisQueue(Redis.from_url(jobs_work.REDIS_URL, max_connections=1000))


async def fill(load: str, count: int) -> None:
    asked = queue()
    for _ in range(0, count, 100):
        await asyncio.gather(*(asked.enqueue(load) for _ in range(100)))
    await asked.disconnect()


async def work() -> None:
    functions = [("noop", jobs_work.async_noop), ("wait", jobs_work.async_wait)]
    await Worker(queue(), functions=functions, concurrency=CONCURRENCY).start()


if __name__ == "__main__":
    uvloop.run(work() if sys.argv[1] == "work" else fill(sys.argv[1], int(sys.argv[2])))
