"""From the ledger to RQ: what is asked for becomes an RQ job that every RQ tool can show.

The hash is written in RQ 3.0's own layout, with its JSON serialiser; a test compares it with
what RQ itself writes. Redis may be away: the row waits and the sweeper dispatches it later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeAlias

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.clock import monotonic_s, utc_now
from server.db.session import Database
from server.errors import StoreUnavailableError
from server.log import get_logger
from server.queue.asking import Changed, Dispatch, Held, StopJob
from server.queue.kinds import KINDS, dotted_name

log = get_logger(__name__)

RESULT_TTL_S = 300
FAILURE_TTL_S = 14 * 24 * 3600
# A dispatch that nobody popped is made anew by the sweeper; Redis must not keep it for ever.
LOST_TTL_S = 24 * 3600
# What RQ's tools show for a kind that this process does not know; the worker that runs it knows its own.
UNKNOWN_TIMEOUT_S = 180
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
# There while work waits that has no place in Redis yet: workers fill their queues from the ledger. Its value
# names the queues, each between spaces; 1 stands for any.
BACKLOG_KEY = "prosaas:backlog"
BACKLOG_KNOWN_S = 10
# How much one business may put straight into a queue: what it asks for beyond that waits for its turn.
STRAIGHT_PER_S = 50.0
STRAIGHT_AT_ONCE = 200
MOST_SHARES = 10_000
UNDISPATCHED = """
UPDATE job SET dispatched_at = NULL
FROM unnest($1::text[], $2::int[]) AS lost (id, number)
WHERE job.id = lost.id AND job.dispatch_no = lost.number AND job.state = 'ready'
"""


# Nobody waits for a hint: those of so long a time share one round trip, unless something else goes out.
HINTS_AFTER_S = 0.02
# What is told beside the jobs themselves.
Told: TypeAlias = Changed | StopJob | Held


def live_channel(business_id: int | str) -> str:
    """Return the pub/sub channel that carries a business's hints."""
    return f"live:{business_id}"


class Shares:
    """A token bucket for each business: who may go straight into a queue."""

    def __init__(self) -> None:
        self._left: dict[int, tuple[float, float]] = {}

    def take(self, business_id: int | None, wanted: int = 1) -> int:
        """Use up to so many places of a business and return how many; the installation's own work has all."""
        if business_id is None:
            return wanted
        now = monotonic_s()
        if len(self._left) > MOST_SHARES:
            self._left.clear()
        left, since = self._left.get(business_id, (STRAIGHT_AT_ONCE, now))
        left = min(STRAIGHT_AT_ONCE, left + (now - since) * STRAIGHT_PER_S)
        taken = min(int(left), wanted)
        self._left[business_id] = (left - taken, now)
        return taken

    def give_back(self, business_id: int, places: int) -> None:
        """Return places that were taken and not used."""
        left, since = self._left.get(business_id, (STRAIGHT_AT_ONCE, monotonic_s()))
        self._left[business_id] = (min(STRAIGHT_AT_ONCE, left + places), since)


class Dispatcher:
    """Announces committed work. What commits at the same moment shares one round trip to Redis."""

    def __init__(self, database: Database, redis: Redis) -> None:
        self._database = database
        self._redis = redis
        self._waiting: list[object] = []
        self._hints: set[Changed] = set()
        self._held: dict[str, Held] = {}
        self._shares = Shares()
        self._flushing: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None

    async def announce(self, outbox: Sequence[object]) -> None:
        """Take what a transaction left in its outbox; returns at once, nothing here can fail it."""
        for item in outbox:
            match item:
                case Changed():
                    self._hints.add(item)
                case Held():
                    self._held[item.kind] = item.beside(self._held.get(item.kind))
                case _:
                    self._waiting.append(item)
        _log_asked([item for item in outbox if isinstance(item, Dispatch)])
        if self._waiting:
            self._start()
        elif outbox and self._later is None:
            self._later = asyncio.get_running_loop().call_later(HINTS_AFTER_S, self._start, context=Context())

    def _start(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._flushing is None or self._flushing.done():
            # In a context of its own: it works for many, not for whoever announced first.
            self._flushing = asyncio.create_task(self._flush(), context=Context())

    async def flushed(self) -> None:
        """Wait until everything announced so far has gone out or was left to the sweeper."""
        if self._later is not None:
            self._start()
        while self._flushing is not None and not self._flushing.done():
            await asyncio.wait([self._flushing])

    async def send(self, dispatches: Sequence[Dispatch]) -> None:
        """Write dispatches to Redis in one round trip; raise RedisError when it is away."""
        await self._write(list(dispatches), [])

    async def _flush(self) -> None:
        while self._waiting or self._hints or self._held:
            batch, self._waiting = self._waiting, []
            told: list[Told] = [*self._hints, *self._held.values()]
            told += [item for item in batch if isinstance(item, StopJob)]
            self._hints.clear()
            self._held.clear()
            straight: list[Dispatch] = []
            beyond: list[Dispatch] = []
            for one in [item for item in batch if isinstance(item, Dispatch)]:
                (straight if one.has_place or self._shares.take(one.business_id) else beyond).append(one)
            await self._leave_to_window(beyond)
            try:
                await self._write(straight, told)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("dispatch_deferred", jobs=len(straight), error=type(error).__name__)
                await self._undispatch(straight)

    async def _leave_to_window(self, dispatches: list[Dispatch]) -> None:
        if dispatches:
            await self._undispatch(dispatches)
            with suppress(RedisError, OSError, TimeoutError):
                await self._redis.set(BACKLOG_KEY, "1", ex=BACKLOG_KNOWN_S)

    async def _write(self, dispatches: list[Dispatch], told: list[Told]) -> None:
        if not dispatches and not told:
            return
        moment = rq_moment()
        async with self._redis.pipeline(transaction=False) as pipe:
            for _, same in groupby(dispatches, key=attrgetter("kind", "queue")):
                pipe.eval(PUSH, 0, *push_arguments(list(same), moment))
            for one in told:
                match one:
                    case Changed():
                        pipe.publish(live_channel(one.business_id), orjson.dumps([one.topic, str(one.id)]))
                    case StopJob():
                        pipe.publish(one.channel, one.command)
                    case Held():
                        _log_enqueued(one.kind, one.count, one.job_id)
                        pipe.set(BACKLOG_KEY, "1", ex=BACKLOG_KNOWN_S)
            await pipe.execute()

    async def _undispatch(self, dispatches: list[Dispatch]) -> None:
        if not dispatches:
            return
        businesses = {one.business_id for one in dispatches if one.business_id is not None}
        with suppress(StoreUnavailableError):
            async with self._database.driver_transaction(*businesses) as connection:
                await connection.execute(
                    UNDISPATCHED, [one.job_id for one in dispatches], [one.number for one in dispatches]
                )


def push_arguments(dispatches: Sequence[Dispatch], moment: str) -> list[Any]:
    """Return what PUSH takes for dispatches of one kind and queue.

    The kind may be a newer release's: during an upgrade old and new work side by side.
    """
    first = dispatches[0]
    timeout_s = KINDS[first.kind].timeout_s if first.kind in KINDS else UNKNOWN_TIMEOUT_S
    shared = [part for pair in shared_fields(first.queue, timeout_s, moment).items() for part in pair]
    jobs = " ".join([f"{one.job_id} {one.number}" for one in dispatches])
    return [dotted_name(first.kind), first.queue, LOST_TTL_S, orjson.dumps(shared), jobs]


def shared_fields(queue: str, timeout_s: float, moment: str) -> dict[str, str | int]:
    """Return the fields of RQ's job hash that queued jobs of one kind and queue share."""
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
        "origin": queue,
        "enqueued_at": moment,
        "timeout": int(timeout_s),
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
        _log_enqueued(name, len(ids), ids[0])


def _log_enqueued(kind: str, count: int, job_id: str) -> None:
    event = f"Enqueued {kind}"
    log.info(event, count=count, job_id=job_id)
