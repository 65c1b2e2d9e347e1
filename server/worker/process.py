"""One worker process: an event loop that runs many waiting jobs at once.

It pops dispatches, claims them in batches, runs each as a task, renews all leases in one
statement and reports to RQ. Redis may vanish at any moment: running jobs go on, and popping
resumes when it is back.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from prometheus_client import Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.clock import monotonic_s
from server.db.session import Database
from server.errors import StoreUnavailableError
from server.jobs.runtime import Ended, perform
from server.log import get_logger
from server.ports import Outside
from server.queue.asking import Dispatch
from server.queue.dispatch import Dispatcher
from server.queue.ledger import Claim, Ending, Ledger, Outcome
from server.queue.run import Run
from server.worker.rq_view import HEARTBEAT_S, RqView

log = get_logger(__name__)

RUNNING = Gauge("prosaas_jobs_running", "Jobs that this process runs at the moment.")
POP_WAIT_S = 1.0
AWAY_WAIT_S = 0.5


class WorkerProcess:
    """Runs jobs until `stop` is called; then drains and gives back what does not end in time."""

    def __init__(
        self,
        *,
        database: Database,
        redis: Redis,
        dispatcher: Dispatcher,
        outside: Outside,
        queues: Sequence[str],
        concurrency: int,
        lease_s: float,
    ) -> None:
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
        self._database = database
        self._redis = redis
        self._dispatcher = dispatcher
        self._outside = outside
        self._queues = [f"rq:queue:{queue}" for queue in queues]
        self._concurrency = concurrency
        self._ledger = Ledger(database, lease_s=lease_s)
        self._view = RqView(queues, name=name, client=redis)
        self._running: dict[asyncio.Task[None], Run] = {}
        self._stopping = asyncio.Event()
        self._slot_freed = asyncio.Event()
        self.name = name
        self.last_look_s = monotonic_s()

    def stop(self) -> None:
        """Take no more jobs; `run` returns once the running ones have ended or were given back."""
        self._stopping.set()
        self._slot_freed.set()

    @property
    def is_stopping(self) -> bool:
        """Tell whether `stop` was called."""
        return self._stopping.is_set()

    async def run(self, *, drain_grace_s: float) -> None:
        """Work until stopped."""
        await self._view.register()
        log.info("worker_started", worker=self.name, queues=[queue[9:] for queue in self._queues])
        upkeep = [asyncio.create_task(self._renew_leases()), asyncio.create_task(self._beat())]
        try:
            while not self._stopping.is_set():
                await self._look()
            await self._drain(drain_grace_s)
        finally:
            for task in upkeep:
                task.cancel()
            await asyncio.gather(*upkeep, return_exceptions=True)
            await self._view.unregister()
        log.info("worker_stopped", worker=self.name)

    async def _look(self) -> None:
        self.last_look_s = monotonic_s()
        free = self._concurrency - len(self._running)
        if free <= 0:
            self._slot_freed.clear()
            await self._slot_freed.wait()
            return
        try:
            if await self._view.is_suspended():
                await self._pause(1.0)
                return
            popped = await self._pop(free)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("redis_away", error=type(error).__name__)
            await self._pause(AWAY_WAIT_S)
            return
        if popped:
            await self._start(popped)

    async def _pop(self, free: int) -> list[Dispatch]:
        """Take up to `free` dispatches, most urgent queue first; waits a moment where there are none."""
        first = await self._redis.blpop(self._queues, timeout=POP_WAIT_S)
        if first is None:
            return []
        popped = [parse_dispatch(first[1], first[0])]
        for queue in self._queues:
            if free > len(popped):
                more: Any = await self._redis.lpop(queue, free - len(popped)) or []
                popped += [parse_dispatch(rq_id, queue) for rq_id in more]
        return [one for one in popped if one is not None]

    async def _start(self, popped: list[Dispatch]) -> None:
        try:
            claims = await self._claim(popped)
        except StoreUnavailableError as error:
            # The dispatches are gone from Redis; the sweeper will find these jobs undispatched.
            log.warning("claim_failed", jobs=len(popped), error=str(error))
            await self._pause(AWAY_WAIT_S)
            return
        if claims:
            # First, so that no job ends in RQ's view before it started.
            await self._view.started(claims)
        for claim in claims:
            run = Run(claim, database=self._database, outside=self._outside, lease_s=self._ledger.lease_s)
            task = asyncio.create_task(self._one(run), name=claim.job_id)
            self._running[task] = run
            task.add_done_callback(self._forget)
        RUNNING.set(len(self._running))

    async def _claim(self, popped: list[Dispatch]) -> list[Claim]:
        claims = await self._ledger.claim([one.job_id for one in popped], worker=self.name)
        missed = _without(popped, claims)
        if not missed:
            return claims
        requeued = await self._view.failed_tokens(missed)
        if requeued:
            await self._ledger.reopen(list(requeued), list(requeued.values()), actor="rq requeue")
        # Marked first, tried again after: a lane that came free in between is seen by one of the two.
        waiting = await self._ledger.unclaimed([one.job_id for one in missed])
        if waiting:
            claims += await self._ledger.claim(waiting, worker=self.name)
        await self._view.forget(_without(missed, claims))
        return claims

    async def _one(self, run: Run) -> None:
        try:
            ended = await perform(run, self._ledger)
        except asyncio.CancelledError:
            ended = await asyncio.shield(self._give_back(run))
        await self._view.ended(ended)
        if run.claim.lane is not None:
            await self._wake_lane(run.claim.lane)

    async def _give_back(self, run: Run) -> Ended:
        ending = Ending(Outcome.RELEASED, "its worker is stopping or lost its lease")
        try:
            recorded = await self._ledger.end(run.claim, ending)
        except StoreUnavailableError:
            recorded = False
        return Ended(run.claim, ending, recorded)

    async def _wake_lane(self, lane: str) -> None:
        try:
            await self._dispatcher.announce(await self._ledger.next_in_lane(lane))
        except StoreUnavailableError as error:
            log.warning("lane_left_to_sweeper", error=str(error))

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        RUNNING.set(len(self._running))
        self._slot_freed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("job_task_broke", job_id=task.get_name(), error=type(error).__name__)

    async def _renew_leases(self) -> None:
        """Renew every third of a lease; a job whose lease cannot be trusted any more is cancelled."""
        while True:
            await asyncio.sleep(self._ledger.lease_s / 3)
            runs = dict(self._running)
            asked_at = monotonic_s()
            held: set[str] = set()
            try:
                if runs:
                    held = await self._ledger.renew([(run.job_id, run.token) for run in runs.values()])
            except StoreUnavailableError as error:
                log.warning("leases_not_renewed", jobs=len(runs), error=str(error))
                self._cancel_untrusted(runs)
                continue
            for task, run in runs.items():
                if run.job_id in held:
                    run.trusted_until = asked_at + self._ledger.lease_s
                elif not task.done() and not run.completed:
                    log.warning("lease_lost", job_id=run.job_id, token=run.token)
                    task.cancel()

    def _cancel_untrusted(self, runs: dict[asyncio.Task[None], Run]) -> None:
        for task, run in runs.items():
            if run.lease_left_s <= self._ledger.lease_s / 3:
                task.cancel()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await self._view.heartbeat([run.claim for run in self._running.values()])

    async def _drain(self, grace_s: float) -> None:
        tasks = list(self._running)
        log.info("worker_draining", jobs=len(tasks), grace_s=grace_s)
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._dispatcher.flushed()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


def parse_dispatch(rq_id: bytes | str, queue: bytes | str) -> Dispatch | None:
    """Read a dispatch back from RQ's id: `<kind>-<business>-<digest>-<number>`; None if it is not ours."""
    text = rq_id.decode() if isinstance(rq_id, bytes) else rq_id
    name = queue.decode() if isinstance(queue, bytes) else queue
    job_id, _, number = text.rpartition("-")
    parts = job_id.split("-")
    if len(parts) != 3 or not number.isdigit():  # noqa: PLR2004 -- the three parts named above
        log.error("dispatch_unreadable", queue=name)
        return None
    business_id = int(parts[1]) if parts[1].isdigit() else None
    return Dispatch(job_id, parts[0], name.removeprefix("rq:queue:"), business_id, int(number))


def _without(dispatches: Sequence[Dispatch], claims: Sequence[Claim]) -> list[Dispatch]:
    claimed = {claim.job_id for claim in claims}
    return [one for one in dispatches if one.job_id not in claimed]
