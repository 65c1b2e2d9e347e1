"""What RQ's own tools see of this worker.

RQ writes its bookkeeping into a pipeline that is never connected; its commands are then sent
in one round trip by the event loop's own client. So the format stays RQ's business, and a slow
Redis never blocks the jobs that run.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
import redis
from redis.asyncio import Redis
from rq.defaults import DEFAULT_FAILURE_TTL
from rq.executions import Execution, ExecutionRegistry
from rq.job import Job, JobStatus
from rq.results import Result
from rq.serializers import JSONSerializer
from rq.utils import current_timestamp, utcformat
from rq.worker import BaseWorker, WorkerStatus

from server.clock import utc_now
from server.jobs.runtime import Ended
from server.log import get_logger
from server.queue.asking import Dispatch
from server.queue.dispatch import FAILURE_TTL_S, RESULT_TTL_S
from server.queue.kinds import KINDS
from server.queue.ledger import Claim, Outcome

log = get_logger(__name__)

HEARTBEAT_S = 20
WORKER_TTL_S = 120
# Generous: an execution that ends late must not be reported as abandoned.
STARTED_SLACK_S = 120
# What RQ counts as a failed run; it counts one that is tried again, too.
FAILURES = frozenset({Outcome.FAILED, Outcome.QUARANTINED, Outcome.RETRY, Outcome.EXPIRED})
NOT_OURS = "Not a job of this installation: its workers run what their ledger holds, and nothing else."

# Short runs that went well: ARGV is a time stamp, the seconds to live, the worker's name, then a queue, an
# id, when it started and when it ended for each. A job that RQ forgot meanwhile stays forgotten.
DONE = """
for place = 4, #ARGV, 4 do
    local key = 'rq:job:' .. ARGV[place + 1]
    if redis.call('EXISTS', key) == 1 then
        redis.call('HSET', key, 'status', 'finished', 'started_at', ARGV[place + 2],
            'ended_at', ARGV[place + 3], 'last_heartbeat', ARGV[place + 3], 'worker_name', ARGV[3])
        redis.call('EXPIRE', key, ARGV[2])
        redis.call('ZADD', 'rq:finished:' .. ARGV[place], ARGV[1] + ARGV[2], ARGV[place + 1])
    end
end
"""
# A beat of running jobs: ARGV is this moment, then their keys. One that RQ forgot meanwhile stays forgotten.
BEAT = """
for place = 2, #ARGV do
    if redis.call('EXISTS', ARGV[place]) == 1 then
        redis.call('HSET', ARGV[place], 'last_heartbeat', ARGV[1])
    end
end
"""


@dataclass(frozen=True)
class Report:
    """What RQ is to see of a run: that it started, or how it ended and whether its start was shown."""

    claim: Claim
    started_at: datetime
    ended: Ended | None = None
    was_shown: bool = False
    ended_at: datetime = field(default_factory=utc_now)


class QueueWorker(BaseWorker):
    """An RQ worker as RQ's registries know it; `PoolWorker` runs the jobs."""

    def __init__(self, queues: Sequence[str], *, name: str, recorder: redis.Redis) -> None:
        super().__init__(
            list(queues),
            name=name,
            connection=recorder,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL_S,
            prepare_for_work=False,
        )
        self.hostname = socket.gethostname()
        self.pid = os.getpid()


class RqView:
    """Keeps RQ's registries true for one worker process; a failure here never touches a job."""

    def __init__(self, queues: Sequence[str], *, name: str, client: Redis) -> None:
        self._recorder = redis.Redis(socket_connect_timeout=0.001)
        self._client = client
        self.worker = QueueWorker(queues, name=name, recorder=self._recorder)
        self.succeeded = self.failed = 0
        self._worked = timedelta()
        self._is_suspended = False
        self._goes_on = False

    async def register(self) -> None:
        """Enter this worker in RQ's list, as `rq info` shows it."""
        worker = self.worker
        worker.birth_date = worker.last_heartbeat = utc_now()
        worker.ip_address = await self._own_address()
        pipe = self._recorder.pipeline()
        pipe.hset(worker.key, mapping=worker.serialize() | self._figures())
        self._enrol(pipe)
        await self._send(pipe)

    async def unregister(self) -> None:
        """Take this worker out of RQ's list."""
        worker = self.worker
        pipe = self._recorder.pipeline()
        pipe.srem(worker.redis_workers_keys, worker.key)
        for queue in worker.queue_names():
            pipe.srem(f"rq:workers:{queue}", worker.key)
        pipe.hset(worker.key, "death", utcformat(utc_now()))
        pipe.expire(worker.key, 60)
        pipe.delete(worker.executions_key)
        await self._send(pipe)

    async def heartbeat(self, shown: Sequence[Claim]) -> None:
        """Tell RQ that this worker lives, and so do the runs that it was shown.

        After a loss of Redis this enters the worker anew. What outlived its time leaves RQ's registries.
        """
        worker = self.worker
        worker.last_heartbeat = utc_now()
        pipe = self._recorder.pipeline()
        pipe.hset(worker.key, mapping=worker.serialize() | self._figures())
        self._enrol(pipe)
        for claim in shown:
            execution = self._execution(claim)
            execution.heartbeat(self._job(claim.dispatch).started_job_registry, _started_ttl(claim), pipe)
        if shown:
            keys = [self._job(claim.dispatch).key for claim in shown]
            pipe.eval(BEAT, 0, utcformat(worker.last_heartbeat), *keys)
        for queue in worker.queues:
            for registry in (
                queue.finished_job_registry,
                queue.failed_job_registry,
                queue.started_job_registry,
            ):
                pipe.zremrangebyscore(registry.key, 0, current_timestamp())
        await self._send(pipe)

    async def suspended(self, *, is_suspended: bool) -> None:
        """Tell RQ when this worker begins or ends to heed `rq suspend`."""
        if is_suspended is self._is_suspended:
            return
        self._is_suspended = is_suspended
        pipe = self._recorder.pipeline()
        pipe.hset(self.worker.key, mapping=self._figures())
        await self._send(pipe)

    async def report(self, reports: Sequence[Report], *, goes_on: bool) -> None:
        """Enter in RQ's registries what started and what ended, in this order, in one round trip.

        `goes_on` tells whether this worker still runs something.
        """
        pipe = self._recorder.pipeline()
        done: list[Report] = []
        for report in reports:
            if report.ended is None:
                self._started(pipe, report)
                continue
            self._count(report, report.ended.ending.outcome)
            if report.ended.ending.outcome is Outcome.DONE and not report.was_shown:
                done.append(report)
            else:
                self._ended(pipe, report, report.ended)
        if done:
            self._done(pipe, done)
        self._goes_on = goes_on
        pipe.hset(self.worker.key, mapping=self._figures())
        await self._send(pipe)

    def _count(self, report: Report, outcome: Outcome) -> None:
        self.succeeded += outcome is Outcome.DONE
        self.failed += outcome in FAILURES
        self._worked += report.ended_at - report.started_at

    def _figures(self) -> dict[Any, str | int | float]:
        if self._goes_on:
            state = WorkerStatus.BUSY
        else:
            state = WorkerStatus.SUSPENDED if self._is_suspended else WorkerStatus.IDLE
        return {
            "state": state.value,
            "successful_job_count": self.succeeded,
            "failed_job_count": self.failed,
            "total_working_time": self._worked.total_seconds(),
        }

    async def _own_address(self) -> str:
        try:
            return str((await self._client.client_info())["addr"])
        except (redis.RedisError, OSError, TimeoutError):
            return "unknown"

    def _started(self, pipe: Any, report: Report) -> None:
        claim = report.claim
        job, execution, ttl = self._job(claim.dispatch), self._execution(claim), _started_ttl(claim)
        execution.created_at = report.started_at
        job.prepare_for_execution(self.worker.name, pipeline=pipe)
        # It began before it was long enough to be shown.
        pipe.hset(job.key, "started_at", utcformat(report.started_at))
        execution.save(ttl, pipeline=pipe)
        ExecutionRegistry(job.id, connection=self._recorder).add(execution, ttl=ttl, pipeline=pipe)
        job.started_job_registry.add_execution(execution, pipeline=pipe, ttl=ttl, xx=False)
        pipe.sadd(execution.worker_executions_key, execution.composite_key)
        pipe.expire(execution.worker_executions_key, ttl)

    def _done(self, pipe: Any, reports: Sequence[Report]) -> None:
        """Enter short runs that went well, of which RQ holds only the job's own hash so far."""
        jobs: list[str] = []
        for report in reports:
            dispatch = report.claim.dispatch
            times = moment(report.started_at), moment(report.ended_at)
            jobs.extend((dispatch.queue, dispatch.rq_id, *times))
        pipe.eval(DONE, 0, current_timestamp(), RESULT_TTL_S, self.worker.name, *jobs)

    def _ended(self, pipe: Any, report: Report, ended: Ended) -> None:
        """Move a dispatch to where its outcome belongs: finished, failed, or nowhere while it waits."""
        job, execution = self._job(ended.claim.dispatch), self._execution(ended.claim)
        execution.delete(job=job, pipeline=pipe)
        moment = utcformat(report.ended_at)
        times = {"started_at": utcformat(report.started_at), "ended_at": moment, "last_heartbeat": moment}
        pipe.hset(job.key, mapping=times | {"worker_name": self.worker.name})
        match ended.ending.outcome:
            case Outcome.DONE:
                job.set_status(JobStatus.FINISHED, pipeline=pipe)
                job.finished_job_registry.add(job, RESULT_TTL_S, pipeline=pipe)
                pipe.expire(job.key, RESULT_TTL_S)
            case Outcome.FAILED | Outcome.QUARANTINED:
                self._fail(pipe, job, report, ended)
            case Outcome.CANCELLED:
                # In no registry: whoever requeues all that failed does not mean what people stopped.
                job.set_status(JobStatus.STOPPED, pipeline=pipe)
                pipe.expire(job.key, RESULT_TTL_S)
            case Outcome.SNOOZED | Outcome.RETRY | Outcome.EXPIRED | Outcome.RELEASED | Outcome.LOST:
                pipe.delete(job.key)

    async def forget(self, dispatches: Sequence[Dispatch]) -> None:
        """Remove dispatches that led to no claim: the ledger had already moved on."""
        if not dispatches:
            return
        pipe = self._recorder.pipeline()
        for dispatch in dispatches:
            pipe.delete(f"rq:job:{dispatch.rq_id}")
        await self._send(pipe)

    async def failed_tokens(self, dispatches: Sequence[Dispatch]) -> dict[str, int]:
        """Return job id → the token it failed with, for dispatches that an operator requeued in RQ."""
        async with self._client.pipeline(transaction=False) as pipe:
            for dispatch in dispatches:
                pipe.hget(f"rq:job:{dispatch.rq_id}", "meta")
            metas = await pipe.execute()
        tokens: dict[str, int] = {}
        for dispatch, meta in zip(dispatches, metas, strict=True):
            token = _failed_token(meta)
            if token is not None:
                tokens[dispatch.job_id] = token
        return tokens

    async def refuse(self, foreign: Sequence[tuple[str, str]]) -> None:
        """Move jobs that somebody else put into a queue of ours to its failed registry, as (id, queue).

        Ids without a job behind them lead nowhere and are dropped. Raises RedisError.
        """
        async with self._client.pipeline(transaction=False) as asking:
            for rq_id, _ in foreign:
                asking.exists(f"rq:job:{rq_id}")
            are_there = await asking.execute()
        pipe = self._recorder.pipeline()
        for (rq_id, queue), is_there in zip(foreign, are_there, strict=True):
            log.error("job_not_ours", queue=queue, kept=bool(is_there))
            if is_there:
                self._refuse(pipe, rq_id, queue)
        await self._send(pipe)

    def _refuse(self, pipe: Any, rq_id: str, queue: str) -> None:
        try:
            job = Job(rq_id, connection=self._recorder, serializer=JSONSerializer)
        except ValueError:
            # An id that RQ itself refuses: no tool could show it. Its hash stays as it was found.
            return
        job.origin = queue
        pipe.hset(job.key, "ended_at", utcformat(utc_now()))
        job.set_status(JobStatus.FAILED, pipeline=pipe)
        pipe.persist(job.key)
        pipe.zadd(job.failed_job_registry.key, {job.id: current_timestamp() + DEFAULT_FAILURE_TTL})
        name = self.worker.name
        Result.create_failure(job, DEFAULT_FAILURE_TTL, NOT_OURS, worker_name=name, pipeline=pipe)

    async def forget_worker(self, name: str) -> None:
        """Take a worker that died out of RQ's list."""
        pipe = self._recorder.pipeline()
        key = f"{self.worker.redis_worker_namespace_prefix}{name}"
        pipe.srem(self.worker.redis_workers_keys, key)
        for queue in self.worker.queue_names():
            pipe.srem(f"rq:workers:{queue}", key)
        pipe.delete(key, f"{key}:executions")
        await self._send(pipe)

    def _fail(self, pipe: Any, job: Job, report: Report, ended: Ended) -> None:
        # A requeued dispatch carries this back: it reopens the failure it came from, and no other.
        pipe.hset(job.key, "meta", orjson.dumps({"failed_token": ended.claim.token}))
        job.set_status(JobStatus.FAILED, pipeline=pipe)
        pipe.zadd(job.failed_job_registry.key, {job.id: current_timestamp() + FAILURE_TTL_S})
        reason = ended.ending.reason or "failed"
        Result.create_failure(
            job,
            FAILURE_TTL_S,
            reason,
            worker_name=self.worker.name,
            pipeline=pipe,
            execution_id=str(ended.claim.token),
            execution_started_at=report.started_at,
            execution_ended_at=report.ended_at,
        )
        pipe.expire(job.key, FAILURE_TTL_S)

    def _enrol(self, pipe: Any) -> None:
        worker = self.worker
        pipe.sadd(worker.redis_workers_keys, worker.key)
        for queue in worker.queue_names():
            pipe.sadd(f"rq:workers:{queue}", worker.key)
            pipe.sadd("rq:queues", f"rq:queue:{queue}")
        pipe.expire(worker.key, WORKER_TTL_S)
        pipe.expire(worker.executions_key, WORKER_TTL_S)

    def _job(self, dispatch: Dispatch) -> Job:
        job = Job(dispatch.rq_id, connection=self._recorder, serializer=JSONSerializer)
        job.origin = dispatch.queue
        return job

    def _execution(self, claim: Claim) -> Execution:
        return Execution(
            str(claim.token), claim.dispatch.rq_id, connection=self._recorder, worker_name=self.worker.name
        )

    async def _send(self, pipe: Any) -> None:
        """Send what RQ recorded; while Redis is away the ledger stays right and RQ's view waits."""
        try:
            async with self._client.pipeline(transaction=True) as sending:
                for arguments, _options in pipe.command_stack:
                    sending.execute_command(*arguments)
                await sending.execute()
        except (redis.RedisError, OSError, TimeoutError) as error:
            log.warning("rq_view_behind", error=type(error).__name__)


def moment(at: datetime) -> str:
    """Return a moment in UTC as RQ's `utcformat` does, which takes five times as long."""
    return at.isoformat("T", "microseconds")[:26] + "Z"


def _started_ttl(claim: Claim) -> int:
    kind = KINDS.get(claim.kind)
    return int(kind.timeout_s if kind else 0) + STARTED_SLACK_S


def _failed_token(meta: bytes | None) -> int | None:
    if not meta:
        return None
    try:
        told = orjson.loads(meta)
    except orjson.JSONDecodeError:
        return None
    token = told.get("failed_token") if isinstance(told, dict) else None
    return token if isinstance(token, int) else None
