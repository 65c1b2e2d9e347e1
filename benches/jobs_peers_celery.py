"""Celery on Redis: plain, or acknowledging late with its results in PostgreSQL."""

from __future__ import annotations

import os
import sys

from celery import Celery

from benches import jobs_work

SAFE = os.environ.get("BENCH_CELERY") == "safe"
app = Celery(
    "peer",
    # Its own spelling of a unix socket.
    broker=jobs_work.REDIS_URL.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host="),
    backend="db+" + os.environ["BENCH_DATABASE_URL"].replace("postgresql:", "postgresql+psycopg2:")
    if SAFE
    else None,
)
app.conf.update(
    task_ignore_result=not SAFE,
    task_acks_late=SAFE,
    task_reject_on_worker_lost=SAFE,
    worker_prefetch_multiplier=16,
    worker_hijack_root_logger=False,
)
noop = app.task(jobs_work.noop, name="noop")
wait = app.task(jobs_work.wait, name="wait")


def fill(load: str, count: int) -> None:
    task = {"noop": noop, "wait": wait}[load]
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(count):
            task.apply_async(producer=producer)


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))
