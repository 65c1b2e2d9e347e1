"""From the ledger to RQ: what is asked for becomes an RQ job that every RQ tool can show.

The hash is written in RQ 3.0's own layout, with its JSON serialiser; a test compares it with
what RQ itself writes. Redis may be away: the row waits and the sweeper dispatches it later.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.db import tenancy
from server.db.session import Database
from server.errors import StoreUnavailableError
from server.log import get_logger
from server.queue.asking import Changed, Dispatch
from server.queue.kinds import KINDS

log = get_logger(__name__)

RESULT_TTL_S = 300
FAILURE_TTL_S = 14 * 24 * 3600
QUEUES_KEY = "rq:queues"
# A dispatch that nobody popped is made anew by the sweeper; Redis must not keep it for ever.
LOST_TTL_S = 24 * 3600
UNDISPATCHED = """
UPDATE job SET dispatched_at = NULL
FROM unnest($1::text[], $2::int[]) AS lost (id, number)
WHERE job.id = lost.id AND job.dispatch_no = lost.number AND job.state = 'ready'
"""


def live_channel(business_id: int | str) -> str:
    """Return the pub/sub channel that carries a business's hints."""
    return f"live:{business_id}"


class Dispatcher:
    """Announces committed work. What commits at the same moment shares one round trip to Redis."""

    def __init__(self, database: Database, redis: Redis) -> None:
        self._database = database
        self._redis = redis
        self._waiting: list[object] = []
        self._flushing: asyncio.Task[None] | None = None

    async def announce(self, outbox: Sequence[object]) -> None:
        """Take what a transaction left in its outbox; returns at once, nothing here can fail it."""
        if not outbox:
            return
        _log_asked([item for item in outbox if isinstance(item, Dispatch)])
        self._waiting.extend(outbox)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())

    async def flushed(self) -> None:
        """Wait until everything announced so far has gone out or was left to the sweeper."""
        while self._flushing is not None and not self._flushing.done():
            await asyncio.wait([self._flushing])

    async def send(self, dispatches: Sequence[Dispatch]) -> None:
        """Write dispatches to Redis in one round trip; raise RedisError when it is away."""
        await self._write(list(dispatches), [])

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            dispatches = [item for item in batch if isinstance(item, Dispatch)]
            try:
                await self._write(dispatches, [item for item in batch if isinstance(item, Changed)])
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("dispatch_deferred", jobs=len(dispatches), error=type(error).__name__)
                await self._leave_to_sweeper(dispatches)

    async def _write(self, dispatches: list[Dispatch], hints: list[Changed]) -> None:
        if not dispatches and not hints:
            return
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        async with self._redis.pipeline(transaction=True) as pipe:
            for dispatch in dispatches:
                key = f"rq:job:{dispatch.rq_id}"
                pipe.hset(key, mapping=rq_hash(dispatch, moment))
                pipe.expire(key, LOST_TTL_S)
                if dispatch.number > 1:
                    pipe.delete(f"rq:job:{dispatch.job_id}-{dispatch.number - 1}")
            for queue in {dispatch.queue for dispatch in dispatches}:
                pipe.sadd(QUEUES_KEY, f"rq:queue:{queue}")
                pipe.rpush(f"rq:queue:{queue}", *(d.rq_id for d in dispatches if d.queue == queue))
            for hint in set(hints):
                pipe.publish(live_channel(hint.business_id), orjson.dumps([hint.topic, str(hint.id)]))
            await pipe.execute()

    async def _leave_to_sweeper(self, dispatches: list[Dispatch]) -> None:
        if not dispatches:
            return
        businesses = {one.business_id for one in dispatches if one.business_id is not None}
        with suppress(StoreUnavailableError):
            async with self._database.driver_transaction() as connection:
                scope = tenancy.business_list(businesses)
                await connection.execute(tenancy.SET_LOCAL, tenancy.BUSINESSES, scope)
                await connection.execute(
                    UNDISPATCHED, [one.job_id for one in dispatches], [one.number for one in dispatches]
                )


def rq_hash(dispatch: Dispatch, moment: str) -> dict[Any, Any]:
    """Return the fields of RQ's job hash for a job that is queued; `moment` is UTC in RQ's format."""
    kind = KINDS[dispatch.kind]
    return {
        "created_at": moment,
        "data": zlib.compress(orjson.dumps([kind.dotted_name, None, [dispatch.job_id], {}])),
        "success_callback_name": "",
        "failure_callback_name": "",
        "stopped_callback_name": "",
        "started_at": "",
        "ended_at": "",
        "last_heartbeat": "",
        "worker_name": "",
        "group_id": "",
        "origin": dispatch.queue,
        "description": f"{kind.dotted_name}('{dispatch.job_id}')",
        "enqueued_at": moment,
        "timeout": int(kind.timeout_s),
        "result_ttl": RESULT_TTL_S,
        "failure_ttl": FAILURE_TTL_S,
        "status": "queued",
    }


def _log_asked(dispatches: Sequence[Dispatch]) -> None:
    for name in {dispatch.kind for dispatch in dispatches}:
        ids = [dispatch.job_id for dispatch in dispatches if dispatch.kind == name]
        event = f"Enqueued {name}"
        log.info(event, count=len(ids), job_id=ids[0])
