"""The start of a worker: settings, rights and handlers first, then the supervisor."""

from __future__ import annotations

import asyncio
import signal
import sys
from functools import partial

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.multiprocess import MultiProcessCollector

from server import log
from server.config import Settings, load_settings
from server.errors import StartRefusedError
from server.health import Health, serving_health
from server.jobs import load_handlers
from server.queue.kinds import queues as used_queues
from server.roles import Right, require
from server.wiring import keep_out_of_collections
from server.worker import child
from server.worker.supervisor import REFUSED, Supervisor

# A loop that stands still for half a lease cannot renew it: its jobs must be given back while they are held.
LEAST_SILENCE_S = 2.0


def start(metrics_folder: str) -> int:
    """Run as the worker role until told to stop; return the exit code."""
    try:
        settings = load_settings()
        require(settings.service_role, Right.RUN_JOBS)
        log.configure(log_format=settings.log_format, level=settings.log_level)
        load_handlers()
        queues = chosen_queues(settings)
        return asyncio.run(supervise(settings, queues, metrics_folder))
    except StartRefusedError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return REFUSED


async def supervise(settings: Settings, queues: list[str], metrics_folder: str) -> int:
    """Keep the processes running until SIGTERM or SIGINT, then let them drain; a second one hurries."""
    keep_out_of_collections()
    supervisor = Supervisor(
        processes=settings.worker_processes,
        slots=settings.worker_concurrency,
        silence_s=max(settings.job_lease_s / 2, LEAST_SILENCE_S),
        drain_grace_s=settings.drain_grace_s,
        work=partial(child.work, settings, queues),
        work_alone=partial(child.work_alone, settings),
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=metrics_folder)  # type: ignore[no-untyped-call]
    ProcessCollector(registry=registry)
    health = health_of(supervisor, registry)
    async with serving_health(health, host=settings.host, port=settings.health_port):
        return await supervisor.run()


def health_of(supervisor: Supervisor, registry: CollectorRegistry) -> Health:
    """Return what the processes' notes say of them: ready when one of them is, and its stores answer."""

    async def postgres() -> None:
        if not any(board.postgres_answers for board in supervisor.boards):
            raise ConnectionError("no process has PostgreSQL")

    async def redis() -> None:
        if not any(board.redis_answers for board in supervisor.boards):
            raise ConnectionError("no process has Redis")

    return Health(
        required={"postgres": postgres, "redis": redis},
        is_alive=lambda: supervisor.is_alive,
        is_stopping=lambda: supervisor.is_stopping,
        registry=registry,
    )


def chosen_queues(settings: Settings) -> list[str]:
    """Return the queues to listen to; refuse a list that leaves out one that is used (it would never run)."""
    chosen = [name.strip() for name in settings.worker_queues.split(",") if name.strip()]
    unknown = sorted(set(chosen) - {*used_queues(), "default", "low", "maintenance"})
    if unknown or not chosen:
        raise StartRefusedError(
            f"WORKER_QUEUES names queues that nothing uses: {', '.join(unknown) or 'none'}."
        )
    return chosen
