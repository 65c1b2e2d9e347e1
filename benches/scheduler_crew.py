"""Schedulers as real processes, each at its place, killed and started again; and what they keep."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from benches.jobs_house import BUSINESS, PYTHON, House
from server import tasks
from server.queue.schedules import LOCK_KEY
from server.stack.sockets import any_free_port

KILL_EVERY_S = 20.0
UP_WITHIN_S = 60
OUR_WORKER = (PYTHON, "-m", "benches.scheduler_ours")
OUR_SCHEDULER = (*OUR_WORKER, "--scheduler")
# Every second, each slot made up for, so that what is missing was missed.
INSERT = """
INSERT INTO schedule (name, business_id, label, kind, payload, cron, zone, catch_up, longest_age_s,
                      watermark, next_slot)
SELECT format('tick-%s', n), $1, 'bench', 'tick_job', jsonb_build_object('entry', n), '* * * * * *', 'UTC',
       'all', 43200, $3::timestamptz - interval '1 second', $3
FROM generate_series(0, $2::int - 1) AS n
"""


@dataclass(frozen=True)
class Place:
    """A command and its environment, and the port of its health if it has one."""

    command: Sequence[str]
    env: Mapping[str, str]
    port: int | None = None


@dataclass
class Crew:
    """Processes of one system while the block runs; `kills` counts."""

    house: House
    places: Sequence[Place]
    pids: list[int] = field(default_factory=list)
    kills: int = 0
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.pids = [self._start(place) for place in self.places]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def kill(self, number: int) -> None:
        """Kill the process at a place with -9 and start another there at once."""
        os.kill(self.pids[number], signal.SIGKILL)
        self.pids[number] = self._start(self.places[number])
        self.kills += 1

    async def until_up(self) -> None:
        """Wait until each place that has a port of health answers there."""
        for place in self.places:
            if place.port is not None:
                await self.house.until(lambda port=place.port: _answers(port), within_s=UP_WITHIN_S)

    def _start(self, place: Place) -> int:
        [pid] = self._stack.enter_context(self.house.running(place.command, env=place.env))
        return pid


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def schedulers(house: House, count: int, **more: str) -> Crew:
    """Return so many of our schedulers, at their defaults but for what is told."""
    places = []
    for _ in range(count):
        port = any_free_port()
        env = house.ours("scheduler", HEALTH_PORT=str(port), **more)
        # One process: its counters stay in memory, as in production.
        del env["PROMETHEUS_MULTIPROC_DIR"]
        places.append(Place(OUR_SCHEDULER, env, port))
    return Crew(house, places)


async def holder(crew: Crew) -> int:
    """Return the place whose process holds our lock; one in turn where none of them does."""
    token = await crew.house.redis.get(LOCK_KEY)
    pid = int(token.decode().split(":")[-2]) if token else 0
    return crew.pids.index(pid) if pid in crew.pids else crew.kills % len(crew.pids)


async def in_turn(crew: Crew) -> int:
    """Return one place after the other."""
    return crew.kills % len(crew.pids)


@asynccontextmanager
async def killing(
    crew: Crew, choose: Callable[[Crew], Awaitable[int]], *, first_s: float
) -> AsyncIterator[None]:
    """Kill one of a crew every 20 s while the block runs, the first after so many seconds."""

    async def kill() -> None:
        await asyncio.sleep(first_s)
        while True:
            crew.kill(await choose(crew))
            await asyncio.sleep(KILL_EVERY_S)

    task = asyncio.create_task(kill())
    try:
        yield
    finally:
        [ended] = await tasks.end(task)
        # Who stopped killing must not look like one whose kills cost nothing.
        if isinstance(ended, Exception):
            raise ended


async def every_second(house: House, entries: int) -> datetime:
    """Insert so many schedules of every second; return their first slot."""
    await house.look.execute("DELETE FROM schedule WHERE business_id IS NOT NULL")
    first: datetime = await house.look.fetchval("SELECT date_trunc('second', now()) + interval '2 seconds'")
    await house.look.execute(INSERT, BUSINESS, entries, first)
    return first
