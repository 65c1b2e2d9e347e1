"""`python -m server.scheduler.run_scheduler`: keep time and sweep, nothing else."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from zoneinfo import ZoneInfo

import uvloop
from prometheus_client import REGISTRY, Counter, Histogram

from server import log as logging
from server.clock import monotonic_s
from server.config import Settings, load_settings
from server.errors import StartRefusedError, StoreUnavailableError
from server.health import Health, serving_health
from server.queue.counts import start_at_zero
from server.queue.figures import Figures
from server.queue.sweeper import Sweeper
from server.roles import Right, require
from server.scheduler import ticks
from server.scheduler.lock import GlobalLock, Hold
from server.scheduler.schedule import check_timetable
from server.wiring import House, open_house

log = logging.get_logger(__name__)

CYCLES = Counter("prosaas_scheduler_cycles", "Cycles, by how they went.", ["result"])
CYCLE_SECONDS = Histogram("prosaas_scheduler_cycle_seconds", "Duration of a cycle, in seconds.")
# Ten missed cycles are no longer a slow store but a stuck scheduler.
MISSED_CYCLES = 10
LEAST_PATIENCE_S = 30.0


class Scheduler:
    """Runs a cycle every `scheduler_cycle_s` until stopped."""

    def __init__(self, house: House) -> None:
        settings = house.settings
        self._house = house
        self._cycle_s = settings.scheduler_cycle_s
        self._zone = ZoneInfo(settings.scheduler_timezone)
        self._lock = GlobalLock(house.redis, ttl_s=settings.scheduler_lock_ttl_s)
        self._sweeper = Sweeper(house.database, house.redis, house.dispatcher)
        self._stopping = asyncio.Event()
        self._registered = False
        self._last_hold: Hold | None = None
        self.last_cycle_s = monotonic_s()

    @property
    def is_alive(self) -> bool:
        """Tell whether cycles still happen."""
        patience_s = max(self._cycle_s * MISSED_CYCLES, LEAST_PATIENCE_S)
        return monotonic_s() - self.last_cycle_s < patience_s

    def stop(self) -> None:
        """End after the cycle that runs."""
        self._stopping.set()

    async def run(self) -> None:
        """Cycle until stopped, then free the lock if it is ours."""
        log.info("scheduler_started", cycle_s=self._cycle_s, zone=str(self._zone))
        while not self._stopping.is_set():
            started = time.perf_counter()
            await self._guarded_cycle()
            CYCLE_SECONDS.observe(time.perf_counter() - started)
            self.last_cycle_s = monotonic_s()
            await self._wait()
        await self._lock.release()
        log.info("scheduler_stopped")

    async def _guarded_cycle(self) -> None:
        try:
            await self._cycle()
        except StoreUnavailableError as error:
            CYCLES.labels("postgres_away").inc()
            log.warning("cycle_waits_for_postgres", error=str(error))
        except Exception as error:  # noqa: BLE001 -- one bad cycle must not end timekeeping; it is recorded
            CYCLES.labels("error").inc()
            log.error("cycle_failed", error=type(error).__name__, where=logging.where(error))

    async def _cycle(self) -> None:
        hold = await self._lock.hold()
        if hold is not self._last_hold:
            log.info("scheduler_lock", held_by=hold.value)
            self._last_hold = hold
        if hold is Hold.ANOTHER:
            CYCLES.labels("standby").inc()
            return
        try:
            await self._keep_timetable()
        finally:
            # A timetable that is locked keeps nobody's reply waiting.
            await self._sweep()
        CYCLES.labels("done").inc()

    async def _keep_timetable(self) -> None:
        if not self._registered:
            await ticks.register(self._house.database)
            self._registered = True
        await self._house.dispatcher.announce(await ticks.tick(self._house.database, self._zone))

    async def _sweep(self) -> None:
        swept = await self._sweeper.sweep()
        if swept.did_something:
            log.info("swept", **{name: count for name, count in vars(swept).items() if count})

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._cycle_s):
                await self._stopping.wait()
        except TimeoutError:
            return


async def keep_time(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    check_timetable(ZoneInfo(settings.scheduler_timezone))
    async with open_house(settings, pool_size=4) as house:
        scheduler = Scheduler(house)
        figures = Figures(house.database)
        REGISTRY.register(figures)
        start_at_zero()
        health = Health(
            required={"postgres": house.database.ping, "redis": house.ping_redis},
            is_alive=lambda: scheduler.is_alive,
            before_metrics=figures.refresh,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, scheduler.stop)
        async with serving_health(health, host=settings.host, port=settings.health_port):
            await scheduler.run()


def main() -> int:
    """Start as the scheduler role; returns the exit code."""
    try:
        settings = load_settings()
        require(settings.service_role, Right.KEEP_TIME)
        logging.configure(log_format=settings.log_format, level=settings.log_level)
        uvloop.run(keep_time(settings))
    except StartRefusedError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
