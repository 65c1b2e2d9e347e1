"""`python -m server.worker`: process RQ jobs, nothing else."""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop

from server import log
from server.clock import monotonic_s
from server.config import Settings, load_settings
from server.errors import StartRefusedError
from server.health import Health, serving_health
from server.jobs import load_handlers
from server.queue.kinds import queues as used_queues
from server.roles import Right, require
from server.wiring import open_house
from server.worker.process import WorkerProcess

# Longer than any pause the loop can explain: past it the process is stuck, not busy.
STUCK_AFTER_S = 60.0


async def work(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then drain; a second signal ends it at once."""
    async with open_house(settings, pool_size=20) as house:
        process = WorkerProcess(
            database=house.database,
            redis=house.redis,
            dispatcher=house.dispatcher,
            outside=house.outside,
            queues=chosen_queues(settings),
            concurrency=settings.worker_concurrency,
            lease_s=settings.job_lease_s,
        )
        health = Health(
            required={"postgres": house.database.ping, "redis": house.ping_redis},
            is_alive=lambda: monotonic_s() - process.last_look_s < STUCK_AFTER_S,
            is_stopping=lambda: process.is_stopping,
        )
        loop = asyncio.get_running_loop()
        working = asyncio.current_task()

        def on_signal() -> None:
            if process.is_stopping and working is not None:
                working.cancel()
            process.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        async with serving_health(health, host=settings.host, port=settings.health_port):
            await process.run(drain_grace_s=settings.drain_grace_s)


def chosen_queues(settings: Settings) -> list[str]:
    """Return the queues to listen to; refuse a list that leaves out one that is used (it would never run)."""
    chosen = [name.strip() for name in settings.worker_queues.split(",") if name.strip()]
    unknown = sorted(set(chosen) - {*used_queues(), "default", "low", "maintenance"})
    if unknown or not chosen:
        raise StartRefusedError(
            f"WORKER_QUEUES names queues that nothing uses: {', '.join(unknown) or 'none'}."
        )
    return chosen


def main() -> int:
    """Start as the worker role; returns the exit code."""
    try:
        settings = load_settings()
        require(settings.service_role, Right.RUN_JOBS)
        log.configure(log_format=settings.log_format, level=settings.log_level)
        load_handlers()
        uvloop.run(work(settings))
    except StartRefusedError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 2
    except asyncio.CancelledError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
