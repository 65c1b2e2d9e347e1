"""arq, a hundred jobs at a time in each process, looking for more every 10 ms."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from arq import create_pool, func
from arq.connections import RedisSettings
from arq.worker import Worker

from benches import jobs_work

SETTINGS = RedisSettings(unix_socket_path=jobs_work.REDIS_URL.removeprefix("unix://").partition("?")[0])
CONCURRENCY = 100


async def fill(load: str, count: int) -> None:
    pool = await create_pool(SETTINGS)
    for _ in range(0, count, 50):
        await asyncio.gather(*(pool.enqueue_job(load) for _ in range(50)))
    await pool.aclose()


async def work() -> None:
    worker = Worker(
        functions=[func(jobs_work.async_noop, name="noop"), func(jobs_work.async_wait, name="wait")],
        redis_settings=SETTINGS,
        max_jobs=CONCURRENCY,
        poll_delay=0.01,
        keep_result=0,
        log_results=False,
    )
    await worker.async_run()


if __name__ == "__main__":
    uvloop.run(work() if sys.argv[1] == "work" else fill(sys.argv[1], int(sys.argv[2])))
