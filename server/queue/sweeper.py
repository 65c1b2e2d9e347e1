"""The sweeper: puts right what faults left behind. Idempotent; several may run at once.

It dispatches what is due, finds dispatches that Redis lost, frees leases of dead processes and
turns their half-done effects into `unknown`. RQ is corrected to the ledger, never the reverse.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.db.session import Database
from server.log import get_logger
from server.queue import counts, statements
from server.queue.asking import Dispatch, dispatch_of
from server.queue.dispatch import UNDISPATCHED, Dispatcher
from server.queue.ledger import DEATHS_BEFORE_QUARANTINE
from server.queue.window import MOST_GROWTH, SCHEDULERS_WINDOW, Window

log = get_logger(__name__)

# Anything that Redis once held is suspect until this key says WHOLE: it was flushed or replaced, and nobody
# has got through looking what it lost. Until then it names who looks.
GENERATION_KEY = "prosaas:generation"
WHOLE = "whole"
END_LOOK = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end"
SUSPECT_AFTER_S = 15.0
LONGEST_LIST = 50_000


@dataclass(frozen=True)
class Swept:
    """What one sweep did, in rows."""

    freed: int = 0
    quarantined: int = 0
    expired: int = 0
    unknown_effects: int = 0
    found_lost: int = 0
    dispatched: int = 0

    @property
    def did_something(self) -> bool:
        """Tell whether there was anything to put right or to dispatch."""
        return any((self.freed, self.expired, self.unknown_effects, self.found_lost, self.dispatched))


class Sweeper:
    """Sweeps at most `batch` rows of each sort at a time, so that a backlog never stalls a cycle."""

    def __init__(
        self, database: Database, redis: Redis, dispatcher: Dispatcher, *, batch: int = 1000
    ) -> None:
        self._database = database
        self._redis = redis
        self._window = Window(database, redis, dispatcher)
        self._batch = batch
        self._missed: set[str] = set()
        self._token = f"looked through by {token_hex(8)}"

    async def sweep(self) -> Swept:
        """Run every part once; Redis being away leaves its parts for the next time."""
        async with self._database.driver() as connection:
            freed = await connection.fetch(
                statements.FREE_EXPIRED_LEASES, self._batch, DEATHS_BEFORE_QUARANTINE
            )
            unknown = await connection.fetch(statements.ORPHANED_EFFECTS, self._batch)
            expired = await connection.fetch(statements.EXPIRE, self._batch)
            found_lost = dispatched = 0
            try:
                await self._forget_started(freed)
                found_lost = await self._find_lost(connection)
                dispatched = await self._window.fill(SCHEDULERS_WINDOW, growth=MOST_GROWTH)
            except (RedisError, OSError) as error:
                log.warning("redis_away", error=type(error).__name__)
        counts.EFFECTS_ORPHANED.inc(len(unknown))
        counts.count_quarantined(freed)
        for row in freed:
            counts.LEASES_RAN_OUT.labels(row["kind"]).inc()
            log.warning("lease_ran_out", job_id=row["id"], state=row["state"], token=row["token"])
        return Swept(
            freed=len(freed),
            quarantined=sum(row["state"] == "quarantined" for row in freed),
            expired=len(expired),
            unknown_effects=len(unknown),
            found_lost=found_lost,
            dispatched=dispatched,
        )

    async def dispatch(self) -> int:
        """Hand over what came due; return how much. Redis being away leaves it for the next time."""
        try:
            return await self._window.fill(SCHEDULERS_WINDOW, growth=MOST_GROWTH)
        except (RedisError, OSError) as error:
            log.warning("redis_away", error=type(error).__name__)
            return 0

    async def knows_redis(self) -> bool:
        """Tell whether Redis holds what was put into it, as far as it was neither flushed nor replaced."""
        try:
            return await self._is_whole()
        except (RedisError, OSError):
            return True

    async def _find_lost(self, connection: asyncpg.Connection) -> int:
        new_generation = not await self._is_whole()
        if new_generation:
            await self._redis.set(GENERATION_KEY, self._token)
        age_s = 0.0 if new_generation else SUSPECT_AFTER_S
        rows = await connection.fetch(statements.SUSPECTS, age_s, self._batch * 10)
        suspects = [dispatch_of(row) for row in rows]
        waiting = await self._waiting_in_redis(suspects)
        missed = [one for one in suspects if one.queue in waiting and one.rq_id not in waiting[one.queue]]
        # What a worker has taken and not claimed yet is in neither place: missed once is not lost.
        lost = [one for one in missed if new_generation or one.rq_id in self._missed]
        self._missed = {one.rq_id for one in missed}
        await self._take_back(connection, lost)
        missed_ids = {one.job_id for one in missed}
        seen = [one.job_id for one in suspects if one.job_id not in missed_ids]
        if seen:
            await connection.execute(statements.MARK_SEEN, seen)
        for one in lost:
            counts.DISPATCHES_LOST.labels(one.kind).inc()
        if lost:
            log.warning("dispatches_lost", jobs=len(lost), redis_was_emptied=new_generation)
        if new_generation:
            await self._redis.eval(END_LOOK, 1, GENERATION_KEY, self._token, WHOLE)
        return len(lost)

    async def _is_whole(self) -> bool:
        return await self._redis.get(GENERATION_KEY) == WHOLE.encode()

    async def _waiting_in_redis(self, suspects: Sequence[Dispatch]) -> dict[str, set[str]]:
        """Return queue → RQ ids in its list, for the queues short enough to read whole."""
        found: dict[str, set[str]] = {}
        for queue in {one.queue for one in suspects}:
            if await self._redis.llen(f"rq:queue:{queue}") > LONGEST_LIST:
                continue
            ids = await self._redis.lrange(f"rq:queue:{queue}", 0, -1)
            found[queue] = {one.decode() if isinstance(one, bytes) else one for one in ids}
        return found

    async def _take_back(self, connection: asyncpg.Connection, dispatches: Sequence[Dispatch]) -> None:
        if dispatches:
            await connection.execute(
                UNDISPATCHED, [one.job_id for one in dispatches], [one.number for one in dispatches]
            )

    async def _forget_started(self, freed: Sequence[asyncpg.Record]) -> None:
        """Take dead runs out of RQ's started registries, which would report them as failed."""
        by_queue: dict[str, list[str]] = defaultdict(list)
        for row in freed:
            by_queue[row["queue"]].append(f"{dispatch_of(row).rq_id}:{row['token']}")
        for queue, executions in by_queue.items():
            await self._redis.zrem(f"rq:wip:{queue}", *executions)
