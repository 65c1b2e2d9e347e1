"""What of the waiting work stands in Redis: a small window, filled fairly.

Redis holds little, so that what becomes urgent, or belongs to a business that asked for little, is
never behind a long line. The rest waits in the ledger, where one job of each business is taken in turn.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from operator import itemgetter

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.db.session import Database
from server.queue import statements
from server.queue.asking import Dispatch, dispatch_of
from server.queue.dispatch import BACKLOG_KEY, BACKLOG_KNOWN_S, UNDISPATCHED, Dispatcher
from server.queue.kinds import queues

# The scheduler looks about once a second; workers that are busier fill the window themselves.
SCHEDULERS_WINDOW = 256
# A window that is emptied before it is filled again may grow to so many times that.
MOST_GROWTH = 4
# A line is what waits of one business in one queue, of one kind.
MOST_LINES = 2000
# So many due jobs are looked at one by one; among more, each line's first are looked for.
FEW = 1000


class Window:
    """Hands waiting work to Redis until each queue holds as much as it may."""

    def __init__(self, database: Database, redis: Redis, dispatcher: Dispatcher) -> None:
        self._database = database
        self._redis = redis
        self._dispatcher = dispatcher
        # What was left behind at the last filling, and how much more a queue gets since.
        self._behind: set[str] = set()
        self._growth: dict[str, int] = {}

    async def fill(self, most: int, *, growth: int = 1) -> int:
        """Fill every queue to `most` dispatches; return how many were handed over. Raises RedisError.

        A queue that is found empty, though more was left behind, is emptied faster than we look: each time it
        gets twice as many, up to `growth` times as many. While more waits, a key in Redis tells the workers
        to fill it again as they empty it.
        """
        names = sorted(queues())
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.llen(f"rq:queue:{name}")
            # Before the ledger is read: what is said to wait from now on may not be in what is found.
            pipe.delete(BACKLOG_KEY)
            *held, _ = await pipe.execute()
        for name, length in zip(names, held, strict=True):
            is_outrun = not length and name in self._behind
            self._growth[name] = min(2 * self._growth.get(name, 1), growth) if is_outrun else 1
        rooms = [max(0, most * self._growth[name] - length) for name, length in zip(names, held, strict=True)]
        async with self._database.driver() as connection:
            rows = await connection.fetch(statements.DISPATCH_DUE, names, rooms, MOST_LINES, FEW)
            handed = sorted((row for row in rows if row["id"]), key=itemgetter("place"))
            found = [dispatch_of(row) for row in handed]
            try:
                await self._dispatcher.send(found)
                # Of a queue that is full nothing was looked for.
                full = [name for name, room in zip(names, rooms, strict=True) if not room]
                self._behind = {*full, *rows[0]["more"]}
                await self._tell_of_backlog(self._behind)
            except (RedisError, OSError):
                await _take_back(connection, found)
                raise
        return len(found)

    async def _tell_of_backlog(self, behind: Collection[str]) -> None:
        if behind:
            told = " ".join(["", *(f"rq:queue:{name}" for name in sorted(behind)), ""])
            if not await self._redis.set(BACKLOG_KEY, told, ex=BACKLOG_KNOWN_S, nx=True):
                # What somebody else said meanwhile may be of other queues.
                await self._redis.set(BACKLOG_KEY, "1", ex=BACKLOG_KNOWN_S)


async def _take_back(connection: asyncpg.Connection, dispatches: Sequence[Dispatch]) -> None:
    await connection.execute(
        UNDISPATCHED, [one.job_id for one in dispatches], [one.number for one in dispatches]
    )
