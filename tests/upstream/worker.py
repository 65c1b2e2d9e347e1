"""Our worker in the place of RQ's, for RQ's own tests.

RQ's `work` becomes a real `WorkerProcess` with one place, on a ledger that grants every job that RQ still
holds, and a handler that calls in a forked process what the job names. RQ's methods that keep its books
become what our worker does in their place (`RqView`). Nothing here writes to Redis itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue
from rq.worker import BaseWorker, DequeueStrategy

from server.clock import utc_now
from server.db.session import Database
from server.jobs.runtime import Ended, perform
from server.ports import Outside
from server.queue.asking import Dispatch
from server.queue.connection import connect_redis
from server.queue.dispatch import Dispatcher
from server.queue.kinds import HANDLERS, KIND_OF, Urgency, job
from server.queue.ledger import Claim, Ending, Ledger, Outcome
from server.queue.run import Run
from server.queue.window import Window
from server.worker.board import Board
from server.worker.forking import fork
from server.worker.process import Place, WorkerProcess
from server.worker.rq_view import QueueWorker, Report, RqView
from server.worker.taking import Intake

LEASE_S = 60.0
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@job(queue="default", urgency=Urgency.REPLY, timeout_s=180, retry_after_s=())
@dataclass(frozen=True)
class RqCall:
    """Call what an RQ job names."""

    rq_id: str


KIND = KIND_OF[RqCall]


class JobFailedError(Exception):
    """The called function raised, or its process was killed."""


@dataclass(frozen=True)
class RqDispatch(Dispatch):
    """A dispatch whose id is whatever RQ's tests chose."""

    @property
    def rq_id(self) -> str:
        """Return RQ's job id."""
        return self.job_id


@dataclass(frozen=True)
class RqClaim(Claim):
    """A claim on one of them."""

    @property
    def dispatch(self) -> Dispatch:
        """Return the dispatch that led to this claim."""
        return RqDispatch(self.job_id, self.kind, self.queue, None, 1)


class YesLedger(Ledger):
    """Grants every job that RQ still holds and believes every ending."""

    def __init__(self, database: Database, connection: redis.Redis, queues: Sequence[Queue]) -> None:
        super().__init__(database, lease_s=LEASE_S)
        self._connection = connection
        self._queues = queues
        self._token = 0

    async def claim(self, job_ids: Sequence[str], *, worker: str) -> list[Claim]:
        """Grant what is still there."""
        del worker
        return [self.grant(one) for one in job_ids if self._connection.exists(f"rq:job:{one}")]

    def grant(self, rq_id: str) -> Claim:
        """Return a claim with a token of its own."""
        self._token += 1
        origin = self._connection.hget(f"rq:job:{rq_id}", "origin")
        queue = origin.decode() if isinstance(origin, bytes) else self._queues[0].name
        payload = KIND.encode(RqCall(rq_id))
        return RqClaim(rq_id, self._token, 1, KIND.name, 1, payload, None, queue, None, 1, 0)

    async def end(self, claim: Claim, ending: Ending) -> bool:
        """Believe it."""
        del claim, ending
        return True

    async def renew(self, held: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        """Renew all."""
        return dict.fromkeys(held, False)

    async def unclaimed(self, job_ids: Sequence[str]) -> list[str]:
        """Know of none."""
        del job_ids
        return []


@dataclass
class Limits:
    """When RQ's `work` returns by itself."""

    burst: bool
    max_jobs: int | None
    taken: int = 0

    @property
    def is_reached(self) -> bool:
        """Tell whether enough jobs were taken."""
        return self.max_jobs is not None and self.taken >= self.max_jobs


class RqIntake(Intake):
    """Takes RQ's jobs under any id, until the limits are reached or, in a burst, nothing is left."""

    limits: Limits
    stop: Callable[[], None]

    async def pop(self, free: int) -> list[Dispatch]:
        """Take one, or end."""
        if self.limits.is_reached or (self.limits.burst and await self._nothing_left()):
            self.stop()
            return []
        popped = await super().pop(free)
        self.limits.taken += len(popped)
        return popped

    async def _nothing_left(self) -> bool:
        if await self._redis.exists("rq:suspended"):
            return True
        return not any([await self._redis.llen(queue) for queue in self._queues])

    def read(self, rq_id: str, queue: str) -> Dispatch | None:
        """Take any id for one of ours."""
        return RqDispatch(rq_id, KIND.name, queue, None, 1)


class RqProcess(WorkerProcess):
    """The worker's process, with this ledger and this intake."""

    def __init__(self, worker: UpstreamWorker, limits: Limits, **given: Any) -> None:
        super().__init__(
            **given,
            outside=Outside(channels={}),
            queues=worker.queue_names(),
            ledger=worker.ledger(given["database"]),
            place=Place(worker.name, Board(1)),
        )
        self._intake = intake = RqIntake(
            worker.queue_names(),
            worker=worker.name,
            slots=1,
            redis=given["redis"],
            ledger=self._ledger,
            view=self._view,
            window=Window(given["database"], given["redis"], given["dispatcher"]),
        )
        intake.limits, intake.stop = limits, self.stop


class UpstreamWorker(QueueWorker):
    """RQ's worker as its tests know it, doing its work with ours."""

    def __init__(self, *queues: Any, **options: Any) -> None:
        BaseWorker.__init__(self, *queues, **options)
        self._ledger: YesLedger | None = None
        self._claims: dict[str, Claim] = {}
        self._view: RqView | None = None

    def ledger(self, database: Database) -> YesLedger:
        """Return the ledger of all this worker's runs."""
        self._ledger = self._ledger or YesLedger(database, self.connection, self.queues)
        return self._ledger

    def work(
        self,
        burst: bool = False,  # noqa: FBT001, FBT002 -- RQ's signature
        logging_level: str | None = None,
        date_format: str = "",
        log_format: str = "",
        max_jobs: int | None = None,
        max_idle_time: int | None = None,
        with_scheduler: bool = False,  # noqa: FBT001, FBT002 -- the same
        dequeue_strategy: DequeueStrategy = DequeueStrategy.DEFAULT,
    ) -> bool:
        """Run a worker's process until it is told to end, by a signal, a command or a limit."""
        del logging_level, date_format, log_format
        if max_idle_time is not None or with_scheduler or dequeue_strategy != DequeueStrategy.DEFAULT:
            raise NotImplementedError("our worker never ends for idleness, keeps no time, and has one order")
        limits = Limits(burst, max_jobs)
        asyncio.run(self._work(limits))
        return limits.taken > 0

    async def _work(self, limits: Limits) -> None:
        async with self._house() as house:
            process = RqProcess(self, limits, **house)
            HANDLERS[KIND.name] = self._call
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, process.stop)
            note_use("WorkerProcess")
            await process.run(drain_grace_s=LEASE_S)

    @asynccontextmanager
    async def _house(self) -> AsyncIterator[dict[str, Any]]:
        client = connect_redis(address_of(self.connection))
        database = Database(NOWHERE, role=None)
        try:
            yield {"database": database, "redis": client, "dispatcher": Dispatcher(database, client)}
        finally:
            await client.aclose()
            await database.aclose()

    async def _call(self, run: Run, payload: RqCall) -> None:
        """Call in a process of its own, as RQ's worker does, so that a test may block or kill it."""
        del run
        job = self.job_class.fetch(payload.rq_id, connection=self.connection, serializer=self.serializer)
        pid = fork(lambda: _perform(job), keep=[])
        try:
            async with asyncio.timeout(job.timeout or Queue.DEFAULT_TIMEOUT):
                await _ended(pid)
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise
        finally:
            _, status = os.waitpid(pid, 0)  # noqa: ASYNC222 -- it has ended, or was killed
        if status != 0:
            raise JobFailedError

    # What follows is called by RQ's tests alone: each is what our worker does in its place.

    def _through(self, view: Callable[[RqView], Awaitable[None]]) -> None:
        async def act() -> None:
            async with self._house() as house:
                self.ledger(house["database"])
                if self._view is None:
                    self._view = RqView(self.queue_names(), name=self.name, client=house["redis"])
                self._view._client = house["redis"]
                note_use("RqView")
                await view(self._view)

        asyncio.run(act())

    def register_birth(self) -> None:
        """Enter this worker in RQ's list."""
        self._through(lambda view: view.register())
        self.refresh()

    def register_death(self) -> None:
        """Take it out."""
        self._through(lambda view: view.unregister())

    def prepare_execution(self, job: Job) -> Execution:
        """Tell RQ that a job runs."""
        claim = self._claim(job)
        self._claims[job.id] = claim
        self._through(lambda view: view.report([Report(claim, utc_now())], goes_on=True))
        return Execution.fetch(str(claim.token), job.id, connection=self.connection)

    def perform_job(self, job: Job, *_: Any) -> bool:
        """Run a job and tell RQ how it ended."""
        claim, started_at, outcomes = self._claims[job.id], utc_now(), []

        async def run(view: RqView) -> None:
            HANDLERS[KIND.name] = self._call
            database = Database(NOWHERE, role=None)
            held = Run(claim, database=database, outside=Outside(channels={}), lease_s=LEASE_S)
            ended = await perform(held, self.ledger(database))
            outcomes.append(ended.ending.outcome)
            await view.report([Report(claim, started_at, ended, was_shown=True)], goes_on=False)

        self._through(run)
        return outcomes == [Outcome.DONE]

    def handle_job_success(self, job: Job, *_: Any) -> None:
        """Tell RQ that a run went well."""
        self._tell_ended(job, Ending(Outcome.DONE))

    def handle_job_failure(self, job: Job, *_: Any, exc_string: str = "", **__: Any) -> None:
        """Tell RQ that a run failed."""
        self._tell_ended(job, Ending(Outcome.FAILED, exc_string))

    def _tell_ended(self, job: Job, ending: Ending) -> None:
        claim = self._claims.get(job.id) or self._claim(job)
        ended = Ended(claim, ending, recorded=True)
        times = job.started_at or utc_now(), job.ended_at or utc_now()
        report = Report(claim, times[0], ended, was_shown=True, ended_at=times[1])
        self._through(lambda view: view.report([report], goes_on=False))

    def _claim(self, job: Job) -> Claim:
        self._ledger = self._ledger or YesLedger(Database(NOWHERE, role=None), self.connection, self.queues)
        return self._ledger.grant(job.id)


def note_use(part: str) -> None:
    """Note that a part of our own code was run through, in whatever process a test starts."""
    (Path(os.environ["UPSTREAM_USED"]) / part).touch()


def address_of(connection: redis.Redis) -> str:
    """Return where a database of the run's own Redis is."""
    database = connection.connection_pool.connection_kwargs.get("db", 0)
    return f"redis://127.0.0.1:{os.environ['UPSTREAM_PORT']}/{database}"


def _perform(job: Job) -> int:
    own = redis.Redis.from_url(address_of(job.connection))
    mine = Job.fetch(job.id, connection=own, serializer=job.serializer)
    try:
        mine.perform()
    except Exception:  # noqa: BLE001 -- the exit code says so
        return 1
    return 0


async def _ended(pid: int) -> None:
    exited = asyncio.Event()
    watched = os.pidfd_open(pid)
    loop = asyncio.get_running_loop()
    loop.add_reader(watched, exited.set)
    try:
        await exited.wait()
    finally:
        loop.remove_reader(watched)
        os.close(watched)
