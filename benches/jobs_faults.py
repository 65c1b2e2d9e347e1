"""How long until work goes on: after a total loss of Redis, and after kills."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import statistics
import time

import psutil

from benches.jobs_house import OUR_WORKER, House
from benches.jobs_ours import Hold, Noop
from benches.jobs_report import Target
from benches.jobs_work import count_marks
from server.stack.sockets import any_free_port

BACKLOG = 10_000
# Two processes of a hundred each.
PLACES = 200
SCHEDULER = (*OUR_WORKER, "--scheduler")
CHILD_KILLS = 10
SUPERVISOR_KILLS = 10
AT_A_TIME = 5


async def redis_loss(house: House) -> list[Target]:
    """Empty Redis under a backlog, with worker and scheduler at their defaults."""
    await house.clear()
    with (
        house.running(SCHEDULER, env=house.ours("scheduler")),
        house.running(OUR_WORKER, env=house.ours()),
    ):
        # Every place is taken while Redis is emptied: all that waited is lost with it.
        await house.ask([Hold(number, 5.0) for number in range(PLACES)])
        await house.until_marked(PLACES, within_s=60)
        await house.ask([Noop(number) for number in range(BACKLOG)])
        await house.redis.flushall()
        lost_at = time.monotonic()
        if count_marks(house.marks_file) > PLACES:
            raise AssertionError("the backlog was begun before Redis was emptied")
        marks = (await house.until_marked(PLACES + BACKLOG, within_s=120))[PLACES:]
    return [
        Target("Redis emptied → first job running", marks[0].at - lost_at, "s", most=15),
        Target(
            "Redis emptied → backlog of 10,000 found again and done", marks[-1].at - lost_at, "s", most=60
        ),
    ]


async def crashes(house: House) -> list[Target]:
    """Kill processes that hold jobs; measure each job's way to its next start."""
    with house.running(SCHEDULER, env=house.ours("scheduler")):
        children = [await _kill_child(house, number) for number in range(CHILD_KILLS)]
        supervisors: list[float] = []
        for _ in range(SUPERVISOR_KILLS // AT_A_TIME):
            supervisors += await _kill_supervisors(house)
    both = sorted([*children, *supervisors])
    return [
        Target(
            "kill -9 of a worker's process → its job runs again, median", statistics.median(children), "s"
        ),
        Target(
            "kill -9 of a worker with its supervisor → its job runs again, median",
            statistics.median(supervisors),
            "s",
        ),
        Target(f"kill -9 → its job runs again, worst of {len(both)}", both[-1], "s", most=30),
    ]


async def _kill_child(house: House, number: int) -> float:
    """Kill a process of a worker that stays: its supervisor replaces it."""
    await house.clear()
    with house.running(OUR_WORKER, env=house.ours(WORKER_PROCESSES="1")):
        await house.ask([Hold(number, 60.0)])
        [mark] = await house.until_marked(1, within_s=30)
        await asyncio.sleep(random.uniform(0.1, 1))
        os.kill(mark.pid, signal.SIGKILL)
        killed_at = time.monotonic()
        marks = await house.until_marked(2, within_s=60)
    return marks[1].at - killed_at


async def _kill_supervisors(house: House) -> list[float]:
    """Kill five workers whole, each with a job, at moments of their own; a sixth takes over."""
    await house.clear()
    envs = [
        house.ours(WORKER_PROCESSES="1", WORKER_CONCURRENCY="1", HEALTH_PORT=str(any_free_port()))
        for _ in range(AT_A_TIME)
    ]
    victims: dict[int, int] = {}
    killed: dict[int, float] = {}
    workers = [house.running(OUR_WORKER, env=env) for env in envs]
    with workers[0] as one, workers[1] as two, workers[2] as three, workers[3] as four, workers[4] as five:
        supervisors = [*one, *two, *three, *four, *five]
        await house.ask([Hold(number, 100.0) for number in range(AT_A_TIME)])
        for mark in await house.until_marked(AT_A_TIME, within_s=60):
            victims[mark.number] = psutil.Process(mark.pid).ppid()
        if sorted(victims.values()) != sorted(supervisors):
            raise AssertionError("each worker was to hold one job")
        with house.running(OUR_WORKER, env=house.ours(WORKER_PROCESSES="2")):
            for number, pid in victims.items():
                await asyncio.sleep(random.uniform(0, 3))
                os.kill(pid, signal.SIGKILL)
                killed[number] = time.monotonic()
            marks = await house.until_marked(2 * AT_A_TIME, within_s=90)
    return [mark.at - killed[mark.number] for mark in marks[AT_A_TIME:]]
