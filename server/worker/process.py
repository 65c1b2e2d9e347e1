"""One worker process: an event loop that runs many waiting jobs at once.

It takes jobs in batches, runs each as a task, renews all leases in one statement and reports to
RQ. Redis may vanish at any moment: running jobs go on, and taking resumes when it is back.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server import tasks
from server.clock import monotonic_s, utc_now
from server.db.gathering import Gathering
from server.db.session import Database
from server.errors import StoreUnavailableError
from server.jobs.runtime import Ended, overdue, perform
from server.log import get_logger
from server.ports import Outside
from server.queue.accounts import Accounts
from server.queue.asking import Dispatch
from server.queue.counts import count_start
from server.queue.crash_points import CrashPoint, crash_point
from server.queue.dispatch import Dispatcher
from server.queue.kinds import KINDS
from server.queue.ledger import Claim, Ending, Ledger, Outcome
from server.queue.run import Run
from server.queue.window import Window
from server.worker.alone import Isolation
from server.worker.board import Board, Phase
from server.worker.commands import Commands
from server.worker.ends import AWAY_WAIT_S, end_alone, give_back, release_strays
from server.worker.rq_view import HEARTBEAT_S, Report, RqView
from server.worker.taking import Intake
from server.worker.watching import SLOT

log = get_logger(__name__)

RUNNING = Gauge("prosaas_jobs_running", "Jobs that run at the moment.", multiprocess_mode="livesum")
# How long a job may take to end once its time was up.
CANCEL_WAIT_S = 10.0
GIVE_BACK_WAIT_S = 1.0
TURN_S = 0.25
# How long a provider may take to answer a send that was begun before a worker's last moments, and how
# much longer than its grace a worker waits for one.
SEND_S = 15.0
SEND_WAIT_S = 3.0
# Shorter runs enter RQ's registries only as they end: a record of each start would cost more than they do.
SHOWN_FROM_S = 0.2
MOST_REPORTS = 500
# After so many deaths that may have been a neighbour's doing, a job runs alone: the next is its own.
DEATHS_BEFORE_ALONE = 2


@dataclass(frozen=True)
class Place:
    """Where a process stands: its name in RQ, its notes, and who forks for it; as many jobs as slots."""

    name: str
    board: Board
    isolation: Isolation | None = None


@dataclass(eq=False)
class Running:
    """A job that this process runs: its slot on the board, and why it was told to end, if it was."""

    run: Run
    slot: int
    alone: bool
    started_at: datetime
    shown_from: float
    overdue_at: float
    told_to_end: Ending | None = None
    abandoned: bool = False
    shown: bool = False
    # Its handler has ended; what is left is to tell the ledger and RQ.
    is_over: bool = False


class WorkerProcess:
    """Runs jobs until `stop` is called; then drains and gives back what does not end in time.

    Without isolation every job runs on the loop, isolated kinds too.
    """

    def __init__(
        self,
        *,
        database: Database,
        redis: Redis,
        dispatcher: Dispatcher,
        outside: Outside,
        queues: Sequence[str],
        ledger: Ledger,
        place: Place,
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._outside = outside
        self._queues = list(queues)
        self._ledger = ledger
        self._view = RqView(queues, name=place.name, client=redis)
        self._intake = Intake(
            queues,
            worker=place.name,
            slots=place.board.slots,
            redis=redis,
            ledger=ledger,
            view=self._view,
            window=Window(database, redis, dispatcher),
        )
        self._commands = Commands(redis, worker=place.name, stop_job=self._stop_job, leave=self.stop)
        self._reports: Gathering[Report, None] = Gathering(self._report, most=MOST_REPORTS)
        self._accounts = Accounts(database)
        self._board = place.board
        self._isolation = place.isolation
        self._running: dict[asyncio.Task[None], Running] = {}
        self._stopping = asyncio.Event()
        self._slot_freed = asyncio.Event()
        self.name = place.name
        self.was_told = False

    def stop(self) -> None:
        """Take no more jobs; `run` returns once the running ones have ended or were given back."""
        self._board.phase = Phase.LEAVING
        self._stopping.set()
        self._slot_freed.set()

    @property
    def is_stopping(self) -> bool:
        """Tell whether `stop` was called."""
        return self._stopping.is_set()

    async def run(self, *, drain_grace_s: float) -> None:
        """Work until stopped."""
        await self._view.register()
        log.info("worker_started", worker=self.name, queues=self._queues)
        upkeep = [
            asyncio.create_task(self._renew_leases()),
            asyncio.create_task(self._beat()),
            asyncio.create_task(self._turn()),
            asyncio.create_task(self._commands.obey()),
        ]
        if not self.is_stopping:
            self._board.phase = Phase.READY
        try:
            while not self._stopping.is_set():
                await self._look()
            await self._drain(drain_grace_s)
        finally:
            # Told twice to stop, it waits for nothing; but its jobs are given back while there are stores.
            await self._end_jobs()
            await tasks.end(*upkeep)
            await self._view.unregister()
        log.info("worker_stopped", worker=self.name)

    async def _look(self) -> None:
        free = self._board.slots - len(self._running)
        if free <= 0:
            self._slot_freed.clear()
            await self._slot_freed.wait()
            return
        try:
            popped = await self._intake.pop(free)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("redis_away", error=type(error).__name__)
            await self._pause(AWAY_WAIT_S)
            return
        if popped:
            await self._start(popped)

    async def _start(self, popped: list[Dispatch]) -> None:
        crash_point(CrashPoint.AFTER_POP)
        try:
            if self._isolation is not None and self._isolation.is_full:
                await self._intake.put_back([one for one in popped if _is_isolated(one.kind)])
                popped = [one for one in popped if not _is_isolated(one.kind)]
            claims = await self._intake.claim(popped)
        except StoreUnavailableError as error:
            log.warning("claim_failed", jobs=len(popped), error=str(error))
            await self._until_store_answers(popped)
            return
        for claim in claims:
            count_start(claim.kind, claim.waited_s)
        for running in [self._running_of(claim) for claim in claims]:
            context = contextvars.copy_context()
            context.run(SLOT.set, running.slot)
            task = asyncio.create_task(self._one(running), name=running.run.job_id, context=context)
            self._running[task] = running
            task.add_done_callback(self._forget)

    async def _until_store_answers(self, popped: Sequence[Dispatch]) -> None:
        """Take nothing while nothing can be claimed: what this process took is another's to claim."""
        with suppress(RedisError, OSError, TimeoutError):
            # Where this fails too, the sweeper finds these jobs undispatched.
            await self._intake.return_to_queues(popped)
        while not self.is_stopping:
            await self._pause(AWAY_WAIT_S)
            try:
                held = {(one.run.job_id, one.run.token) for one in self._running.values()}
                await release_strays(self._ledger, self.name, held)
            except StoreUnavailableError:
                continue
            return

    def _running_of(self, claim: Claim) -> Running:
        run = Run(
            claim,
            database=self._database,
            outside=self._outside,
            lease_s=self._ledger.lease_s,
            accounts=self._accounts,
        )
        kind = KINDS.get(claim.kind)
        return Running(
            run,
            self._board.take(claim.job_id, claim.token, run.trusted_until),
            alone=self._isolation is not None
            and (_is_isolated(claim.kind) or claim.deaths >= DEATHS_BEFORE_ALONE),
            started_at=utc_now(),
            shown_from=monotonic_s() + SHOWN_FROM_S,
            overdue_at=monotonic_s() + (kind.timeout_s if kind else 0.0) + CANCEL_WAIT_S,
        )

    async def _one(self, running: Running) -> None:
        ended: Ended | None = None
        with suppress(asyncio.CancelledError):
            ended = await (self._run_alone(running) if running.alone else perform(running.run, self._ledger))
        running.is_over = True
        if running.abandoned:
            return
        if ended is None or not ended.recorded:
            ended = await asyncio.shield(self._give_back(running))
        await self._reports.ask(Report(running.run.claim, running.started_at, ended, running.shown))

    async def _report(self, reports: Sequence[Report]) -> Sequence[None]:
        """Tell RQ what started and ended, and start what waited behind it in its lane."""
        ended = sum(report.ended is not None for report in reports)
        await self._view.report(reports, goes_on=len(self._running) > ended)
        lanes = {report.claim.lane for report in reports if report.ended and report.claim.lane is not None}
        if lanes:
            try:
                await self._dispatcher.announce(await self._ledger.next_in_lanes(sorted(lanes)))
            except StoreUnavailableError as error:
                log.warning("lanes_left_to_sweeper", lanes=len(lanes), error=str(error))
        return [None] * len(reports)

    async def _run_alone(self, running: Running) -> Ended:
        if self._isolation is None:
            raise AssertionError("a job runs alone only where there is a supervisor to fork it")
        code = await self._isolation.run(running.slot)
        return await end_alone(self._ledger, running.run.claim, code)

    async def _give_back(self, running: Running) -> Ended:
        return await give_back(self._ledger, running.run.claim, running.told_to_end)

    def _forget(self, task: asyncio.Task[None]) -> None:
        running = self._running.pop(task)
        self._board.release(running.slot)
        self._slot_freed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("job_task_broke", job_id=task.get_name(), error=type(error).__name__)

    def _stop_job(self, rq_id: str, execution_id: str | None) -> None:
        for task, running in self._running.items():
            is_meant = execution_id in {None, str(running.run.token)}
            if is_meant and running.run.claim.dispatch.rq_id == rq_id:
                self._cancel(task, running)

    def _cancel(self, task: asyncio.Task[None], running: Running) -> None:
        if running.told_to_end is None and not running.is_over:
            running.told_to_end = Ending(Outcome.CANCELLED, "stopped by an operator")
            running.overdue_at = min(running.overdue_at, monotonic_s() + CANCEL_WAIT_S)
            task.cancel()

    async def _turn(self) -> None:
        """Show that the loop turns, and end what ran past its time and did not heed its cancellation."""
        while True:
            self._board.tick()
            RUNNING.set(len(self._running))
            now = monotonic_s()
            for task, running in list(self._running.items()):
                if running.is_over or running.abandoned:
                    continue
                if now > running.overdue_at:
                    await self._end_overdue(task, running)
                elif not running.shown and now > running.shown_from:
                    running.shown = True
                    self._reports.tell(Report(running.run.claim, running.started_at))
            await asyncio.sleep(TURN_S)

    async def _end_overdue(self, task: asyncio.Task[None], running: Running) -> None:
        running.told_to_end = running.told_to_end or overdue(running.run.claim)
        if running.alone:
            running.overdue_at += CANCEL_WAIT_S
            task.cancel()
            return
        # Nothing can end a task that does not want to: it loses its job, and with time its process.
        log.error("job_unstoppable", job_id=running.run.job_id, kind=running.run.claim.kind)
        running.abandoned = True
        running.run.trusted_until = 0.0
        self.stop()
        # Without the ledger, the job is left to its lease: this loop has to turn.
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_BACK_WAIT_S):
                ended = await self._give_back(running)
                await self._reports.ask(Report(running.run.claim, running.started_at, ended, running.shown))

    async def _renew_leases(self) -> None:
        """Renew every third of a lease; a job whose lease cannot be trusted any more is cancelled."""
        while True:
            await asyncio.sleep(self._ledger.lease_s / 3)
            held = {task: one for task, one in self._running.items() if not one.abandoned}
            asked_at = monotonic_s()
            renewed: dict[tuple[str, int], bool] = {}
            try:
                if held:
                    renewed = await self._ledger.renew(
                        [(one.run.job_id, one.run.token) for one in held.values()]
                    )
            except StoreUnavailableError as error:
                log.warning("leases_not_renewed", jobs=len(held), error=str(error))
                self._cancel_untrusted(held)
                continue
            for task, one in held.items():
                claim = (one.run.job_id, one.run.token)
                if claim in renewed:
                    one.run.trusted_until = asked_at + self._ledger.lease_s
                    if task in self._running:
                        self._board.trust(one.slot, one.run.trusted_until)
                    if renewed[claim]:
                        self._cancel(task, one)
                elif not (one.is_over or one.run.is_ending):
                    log.warning("lease_lost", job_id=one.run.job_id, token=one.run.token)
                    task.cancel()

    def _cancel_untrusted(self, held: dict[asyncio.Task[None], Running]) -> None:
        for task, one in held.items():
            if not one.is_over and one.run.lease_left_s <= self._ledger.lease_s / 3:
                task.cancel()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await self._view.heartbeat([one.run.claim for one in self._running.values() if one.shown])

    async def _drain(self, grace_s: float) -> None:
        log.info("worker_draining", jobs=len(self._running), grace_s=grace_s)
        to_send_s = min(SEND_S, grace_s / 2)
        await self._until_ended(grace_s - to_send_s)
        for running in self._running.values():
            running.run.may_send = False
        await self._until_ended(to_send_s)
        for task, running in self._running.items():
            # A send that is cut off leaves nobody knowing whether it went out.
            if not running.run.is_sending:
                task.cancel()
        await self._until_ended(SEND_WAIT_S)

    async def _end_jobs(self) -> None:
        for task, running in self._running.items():
            # What is over is being given back, which must not be cut off.
            if not running.is_over:
                task.cancel()
        await self._until_ended(CANCEL_WAIT_S)
        await self._dispatcher.flushed()

    async def _until_ended(self, within_s: float) -> None:
        if self._running:
            await asyncio.wait(list(self._running), timeout=within_s)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


def _is_isolated(kind: str) -> bool:
    return kind in KINDS and KINDS[kind].isolated
