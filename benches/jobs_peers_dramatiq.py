"""Dramatiq on its Redis broker, with its usual middleware."""

from __future__ import annotations

import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benches import jobs_work

broker = RedisBroker(url=jobs_work.REDIS_URL)
dramatiq.set_broker(broker)
noop = dramatiq.actor(jobs_work.noop)
wait = dramatiq.actor(jobs_work.wait)


def fill(load: str, count: int) -> None:
    actor = {"noop": noop, "wait": wait}[load]
    for _ in range(count):
        actor.send()


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))
