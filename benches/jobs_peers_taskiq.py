"""taskiq on a Redis stream, its fastest broker that acknowledges."""

from __future__ import annotations

import sys

import uvloop
from taskiq_redis import RedisStreamBroker

from benches import jobs_work

broker = RedisStreamBroker(jobs_work.REDIS_URL, consumer_id="0")
noop = broker.register_task(jobs_work.async_noop, task_name="noop")
wait = broker.register_task(jobs_work.async_wait, task_name="wait")


async def fill(load: str, count: int) -> None:
    task = {"noop": noop, "wait": wait}[load]
    await broker.startup()
    for _ in range(count):
        await task.kiq()
    await broker.shutdown()


if __name__ == "__main__":
    uvloop.run(fill(sys.argv[1], int(sys.argv[2])))
