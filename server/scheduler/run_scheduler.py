"""`python -m server.scheduler.run_scheduler`: keep time and sweep, nothing else."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from dataclasses import dataclass
from datetime import timedelta

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
from server.queue.window import SCHEDULERS_WINDOW
from server.roles import Right, require
from server.scheduler import ticks
from server.scheduler.lock import GlobalLock, Hold
from server.scheduler.look import look_at_jobs, look_at_slots
from server.scheduler.schedule import check_timetable
from server.wiring import House, open_house

log = logging.get_logger(__name__)

CYCLES = Counter("prosaas_scheduler_cycles", "Cycles, by how they went.", ["result"])
CYCLE_SECONDS = Histogram("prosaas_scheduler_cycle_seconds", "Duration of a cycle, in seconds.")
# Ten missed cycles are no longer a slow store but a stuck scheduler.
MISSED_CYCLES = 10
LEAST_PATIENCE_S = 30.0
# An owner of the lock that renewed nothing for so long is dead, frozen or cut off: others do its work.
LEAST_SILENCE_S = 1.0
# For so long a slot is left to the owner; then whoever sees it enters it.
OWNERS_TIME = timedelta(seconds=0.3)
LONGEST_BACKOFF_S = 5.0
# An older release that is restarted in the midst of an upgrade enters its own timetable.
REGISTER_AGAIN_S = 60.0


def backoff_s(cycle_s: float, failures: int) -> float:
    """Return the rest after so many cycles that failed in a row: twice as long each time, bounded."""
    longest_s = max(cycle_s, LONGEST_BACKOFF_S)
    # A store may be away for days.
    return min(cycle_s * 2.0 ** min(failures, 10), longest_s)


@dataclass(frozen=True)
class Kept:
    """How long no slot comes due, and whether there were any."""

    rest_s: float
    did_something: bool = False


class Scheduler:
    """Looks what there is to do every `scheduler_cycle_s`, and as soon as something comes due, until stopped.

    The owner of the lock does all of it. Others look on, and step in for slots that are late and for an owner
    that has fallen silent: the lock saves work, and nothing waits for it.
    """

    def __init__(self, house: House) -> None:
        settings = house.settings
        self._house = house
        self._cycle_s = settings.scheduler_cycle_s
        self._lock = GlobalLock(house.redis, ttl_s=settings.scheduler_lock_ttl_s)
        self._sweeper = Sweeper(house.database, house.redis, house.dispatcher)
        self._stopping = asyncio.Event()
        self._registered_at_s = -REGISTER_AGAIN_S
        self._failures = 0
        self._last_hold: Hold | None = None
        self._last_cycle_s = monotonic_s()

    @property
    def is_alive(self) -> bool:
        """Tell whether cycles still happen."""
        return self.cycle_age_s < max(self._cycle_s * MISSED_CYCLES, LEAST_PATIENCE_S)

    @property
    def cycle_age_s(self) -> float:
        """Return how long ago the last cycle ended, well or not."""
        return monotonic_s() - self._last_cycle_s

    def stop(self) -> None:
        """End after the cycle that runs."""
        self._stopping.set()

    async def run(self) -> None:
        """Cycle until stopped, then free the lock if it is ours."""
        log.info("scheduler_started", cycle_s=self._cycle_s, zone=self._house.settings.scheduler_timezone)
        while not self._stopping.is_set():
            started = time.perf_counter()
            rest_s = await self._guarded_cycle()
            CYCLE_SECONDS.observe(time.perf_counter() - started)
            self._last_cycle_s = monotonic_s()
            await self._rest(rest_s)
        await self._lock.release()
        log.info("scheduler_stopped")

    async def _guarded_cycle(self) -> float:
        try:
            rest_s = await self._cycle()
        except StoreUnavailableError as error:
            CYCLES.labels("postgres_away").inc()
            log.warning("cycle_waits_for_postgres", error=str(error))
        except Exception as error:  # noqa: BLE001 -- one bad cycle must not end timekeeping; it is recorded
            CYCLES.labels("error").inc()
            log.error("cycle_failed", error=type(error).__name__, where=logging.where(error))
        else:
            self._failures = 0
            return rest_s
        self._failures += 1
        return backoff_s(self._cycle_s, self._failures)

    async def _cycle(self) -> float:
        held = await self._lock.hold()
        if held.by is not self._last_hold:
            log.info("scheduler_lock", held_by=held.by.value)
            self._last_hold = held.by
        is_standby = held.by is Hold.ANOTHER
        is_owners = is_standby and held.silent_s <= max(LEAST_SILENCE_S, 2 * self._cycle_s)
        rests_s = [self._cycle_s]
        try:
            if not is_owners:
                rests_s.append(await self._tidy())
        finally:
            # Neither a timetable that is locked nor a fault in sweeping holds back the other.
            slots = await self._keep_time(OWNERS_TIME if is_owners else timedelta())
        is_idle = is_owners and not slots.did_something
        CYCLES.labels("standby" if is_idle else "stood_in" if is_standby else "done").inc()
        return min(*rests_s, slots.rest_s)

    async def _tidy(self) -> float:
        """Sweep, or only dispatch what came due; return how long nothing new is due."""
        seen = await look_at_jobs(self._house.database)
        if seen.is_untidy or not await self._sweeper.knows_redis():
            swept = await self._sweeper.sweep()
            if swept.did_something:
                log.info("swept", **{name: count for name, count in vars(swept).items() if count})
        elif seen.is_due and await self._sweeper.dispatch() >= SCHEDULERS_WINDOW // 2:
            # Workers take more than is handed over in a cycle.
            return 0.0
        return seen.rest_s(self._cycle_s)

    async def _keep_time(self, patience: timedelta) -> Kept:
        """Enter the slots that have been due for so long."""
        if monotonic_s() - self._registered_at_s >= REGISTER_AGAIN_S:
            await ticks.register(self._house.database, self._house.settings.scheduler_timezone)
            self._registered_at_s = monotonic_s()
        seen = await look_at_slots(self._house.database)
        if not seen.are_due_for(patience):
            return Kept(seen.rest_s(self._cycle_s, patience))
        tick = await ticks.tick(self._house.database)
        await self._house.dispatcher.announce(tick.dispatches)
        return Kept(0.0 if tick.is_more else self._cycle_s, did_something=True)

    async def _rest(self, rest_s: float) -> None:
        try:
            async with asyncio.timeout(rest_s):
                await self._stopping.wait()
        except TimeoutError:
            return


async def keep_time(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    check_timetable(settings.scheduler_timezone)
    async with open_house(settings, pool_size=4) as house:
        scheduler = Scheduler(house)
        figures = Figures(house.database)
        REGISTRY.register(figures)
        start_at_zero()
        health = Health(
            required={"postgres": house.database.ping, "redis": house.ping_redis},
            is_alive=lambda: scheduler.is_alive,
            beat_age_s=lambda: scheduler.cycle_age_s,
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
