"""A worker's process from its fork to its end: it puts right what a dead one left, then takes jobs."""

from __future__ import annotations

import asyncio
import random
import resource
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop

from server import tasks
from server.clock import monotonic_s
from server.config import Settings
from server.errors import StartRefusedError, StoreUnavailableError
from server.log import get_logger
from server.queue.counts import start_at_zero
from server.queue.dispatch import Dispatcher
from server.queue.ledger import Ledger
from server.wiring import House, open_house
from server.worker.alone import Isolation, run_alone
from server.worker.board import Board
from server.worker.ends import release, release_strays
from server.worker.process import Place, WorkerProcess
from server.worker.rq_view import RqView
from server.worker.supervisor import REFUSED, Estate, Post
from server.worker.watching import watching

log = get_logger(__name__)

LOOK_S = 1.0
AWAY_WAIT_S = 0.5
# More jobs run than there are connections: a job waits for its turn rather than being run again.
SESSION_WAIT_S = 30.0
# Those that wait for a row hold theirs, and must not hold up all others.
SESSIONS = 28
# Processes of one age are not all replaced at the same moment.
AGE_SPREAD = 0.2
PAGE_BYTES = 4096
# A job that grabs memory faster than its process can be replaced gets a MemoryError: it fails, alone.
BEYOND_RECYCLING = 2
MEBIBYTE = 1024 * 1024


def work(settings: Settings, queues: Sequence[str], post: Post) -> int:
    """Take jobs until told to stop, too old or too large; return the exit code."""
    return _run(settings, _work(settings, queues, post))


def work_alone(settings: Settings, post: Post, slot: int) -> int:
    """Run the one job in this slot; return the exit code."""
    return _run(settings, run_alone(settings, post.board, slot))


def _run(settings: Settings, coroutine: Coroutine[Any, Any, None]) -> int:
    most = settings.worker_memory_mb * BEYOND_RECYCLING * MEBIBYTE
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    try:
        uvloop.run(coroutine)
    except StartRefusedError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return REFUSED
    except asyncio.CancelledError:
        return 1
    return 0


async def _work(settings: Settings, queues: Sequence[str], post: Post) -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(watching(post.board))
    start_at_zero()
    async with open_house(
        settings, pool_size=SESSIONS, session_wait_s=SESSION_WAIT_S, plans_once=True
    ) as house:
        process = WorkerProcess(
            database=house.database,
            redis=house.redis,
            dispatcher=house.dispatcher,
            outside=house.outside,
            queues=queues,
            ledger=Ledger(house.database, lease_s=settings.job_lease_s),
            place=Place(post.name, post.board, Isolation(post.line, most=settings.worker_isolated)),
        )
        _stop_on_signals(process)
        looking = asyncio.create_task(_look_after(settings, house, post.board, process))
        settling = asyncio.create_task(_settle(settings, house, queues, post))
        try:
            await process.run(drain_grace_s=settings.drain_grace_s)
        finally:
            await tasks.end(looking, settling)


def _stop_on_signals(process: WorkerProcess) -> None:
    loop = asyncio.get_running_loop()
    working = asyncio.current_task()

    def on_signal() -> None:
        if process.was_told and working is not None:
            working.cancel()
        process.was_told = True
        process.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)


async def _look_after(settings: Settings, house: House, board: Board, process: WorkerProcess) -> None:
    """Note which stores answer, and leave in time: before age or size becomes a danger."""
    leaves_at = monotonic_s() + settings.worker_recycle_s * random.uniform(1 - AGE_SPREAD, 1)  # noqa: S311 -- decides nothing secret
    while True:
        postgres, redis = await asyncio.gather(
            house.database.ping(), house.ping_redis(), return_exceptions=True
        )
        board.answers(postgres=postgres is None, redis=redis is None)
        size_mb = resident_bytes() / MEBIBYTE
        if not process.is_stopping and (monotonic_s() > leaves_at or size_mb > settings.worker_memory_mb):
            log.info("process_recycled", worker=process.name, size_mb=round(size_mb))
            process.stop()
        await asyncio.sleep(LOOK_S)


async def _settle(settings: Settings, house: House, queues: Sequence[str], post: Post) -> None:
    """Put right what dead processes left: count the culprit's death, release its neighbours."""
    ledger = Ledger(house.database, lease_s=settings.job_lease_s)
    view = RqView(queues, name=post.name, client=house.redis)
    for estate in post.estates:
        await settle_one(estate, ledger, house.dispatcher)
        await view.forget_worker(estate.worker)


async def settle_one(estate: Estate, ledger: Ledger, dispatcher: Dispatcher) -> None:
    """Put right what one process left, as soon as the ledger answers."""
    culprit = estate.culprit
    innocent = [(held.job_id, held.token) for held in estate.held if held != culprit]
    while True:
        try:
            if culprit is not None:
                for buried in await ledger.bury([(culprit.job_id, culprit.token)]):
                    log.error("job_killed_its_process", job_id=buried.job_id, quarantined=buried.quarantined)
            await release(ledger, innocent, "its process died of another job")
            # What it had claimed and not yet begun stands on no board.
            ids = [held.job_id for held in estate.held] + await release_strays(ledger, estate.worker, ())
            await dispatcher.announce(await ledger.dispatch_again(ids))
        except StoreUnavailableError as error:
            log.warning("estate_waits", worker=estate.worker, error=str(error))
            await asyncio.sleep(AWAY_WAIT_S)
        else:
            return


def resident_bytes() -> int:
    """Return how much memory this process holds; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES
    except OSError:
        return 0
