"""From the ledger to RQ: what is asked for becomes an RQ job that every RQ tool can show.

The hash is written in RQ 3.0's own layout, with its JSON serialiser; a test compares it with
what RQ itself writes. Redis may be away: the row waits and the sweeper dispatches it later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.clock import utc_now
from server.db.session import Database
from server.errors import StoreUnavailableError
from server.log import get_logger
from server.queue.asking import Changed, Dispatch
from server.queue.kinds import KINDS, JobKind

log = get_logger(__name__)

RESULT_TTL_S = 300
FAILURE_TTL_S = 14 * 24 * 3600
# A dispatch that nobody popped is made anew by the sweeper; Redis must not keep it for ever.
LOST_TTL_S = 24 * 3600
# One call writes the hashes of many jobs of one kind and pushes their ids. It takes the kind's dotted
# name, its queue, the seconds to live, the fields that the jobs share as a JSON list, and every job
# as "id number". What a hash holds of a job alone follows from its id, so only that goes over.
PUSH = """
local name, queue, ttl, shared = ARGV[1], 'rq:queue:' .. ARGV[2], ARGV[3], cjson.decode(ARGV[4])
redis.call('SADD', 'rq:queues', queue)
for id, number in string.gmatch(ARGV[5], '(%S+) (%d+)') do
    local rq_id = id .. '-' .. number
    local key = 'rq:job:' .. rq_id
    if number ~= '1' then redis.call('DEL', 'rq:job:' .. id .. '-' .. string.format('%d', number - 1)) end
    redis.call('HSET', key, 'data', '["' .. name .. '",null,["' .. id .. '"],{}]',
        'description', name .. "('" .. id .. "')", unpack(shared))
    redis.call('EXPIRE', key, ttl)
    redis.call('RPUSH', queue, rq_id)
end
"""
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
            # In a context of its own: it works for many, not for whoever announced first.
            self._flushing = asyncio.create_task(self._flush(), context=Context())

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
        moment = rq_moment()
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in {dispatch.kind for dispatch in dispatches}:
                same = [dispatch for dispatch in dispatches if dispatch.kind == name]
                pipe.eval(PUSH, 0, *push_arguments(same, moment))
            for hint in set(hints):
                pipe.publish(live_channel(hint.business_id), orjson.dumps([hint.topic, str(hint.id)]))
            await pipe.execute()

    async def _leave_to_sweeper(self, dispatches: list[Dispatch]) -> None:
        if not dispatches:
            return
        businesses = {one.business_id for one in dispatches if one.business_id is not None}
        with suppress(StoreUnavailableError):
            async with self._database.driver_transaction(*businesses) as connection:
                await connection.execute(
                    UNDISPATCHED, [one.job_id for one in dispatches], [one.number for one in dispatches]
                )


def push_arguments(dispatches: Sequence[Dispatch], moment: str) -> list[Any]:
    """Return what PUSH takes for dispatches of one kind."""
    kind = KINDS[dispatches[0].kind]
    shared = [part for pair in shared_fields(kind, moment).items() for part in pair]
    jobs = " ".join([f"{one.job_id} {one.number}" for one in dispatches])
    return [kind.dotted_name, kind.queue, LOST_TTL_S, orjson.dumps(shared), jobs]


def shared_fields(kind: JobKind, moment: str) -> dict[str, str | int]:
    """Return the fields of RQ's job hash that queued jobs of one kind share."""
    return {
        "created_at": moment,
        "success_callback_name": "",
        "failure_callback_name": "",
        "stopped_callback_name": "",
        "started_at": "",
        "ended_at": "",
        "last_heartbeat": "",
        "worker_name": "",
        "group_id": "",
        "origin": kind.queue,
        "enqueued_at": moment,
        "timeout": int(kind.timeout_s),
        "result_ttl": RESULT_TTL_S,
        "failure_ttl": FAILURE_TTL_S,
        "status": "queued",
    }


def rq_moment() -> str:
    """Return this moment in UTC as RQ writes it."""
    return utc_now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _log_asked(dispatches: Sequence[Dispatch]) -> None:
    for name in {dispatch.kind for dispatch in dispatches}:
        ids = [dispatch.job_id for dispatch in dispatches if dispatch.kind == name]
        event = f"Enqueued {name}"
        log.info(event, count=len(ids), job_id=ids[0])
