"""Stock RQ: its `Worker`, which forks for every job."""

from __future__ import annotations

import sys

import redis
from rq import Queue
from rq.serializers import JSONSerializer

from benches.jobs_work import REDIS_URL


def fill(load: str, count: int) -> None:
    queue = Queue("peer", connection=redis.Redis.from_url(REDIS_URL), serializer=JSONSerializer)
    queue.enqueue_many([Queue.prepare_data(f"benches.jobs_work.{load}") for _ in range(count)])


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))
