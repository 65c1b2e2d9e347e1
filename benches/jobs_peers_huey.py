"""Huey on Redis; no results are kept."""

from __future__ import annotations

import sys

from huey import RedisHuey

from benches import jobs_work

huey = RedisHuey("peer", url=jobs_work.REDIS_URL, results=False)
noop = huey.task(name="noop")(jobs_work.noop)
wait = huey.task(name="wait")(jobs_work.wait)


def fill(load: str, count: int) -> None:
    task = {"noop": noop, "wait": wait}[load]
    for _ in range(count):
        task()


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))
