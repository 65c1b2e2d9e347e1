"""What an operator does to work: look, cancel, pause, resume, run again, settle. Every deed is recorded.

Nothing here sends or runs anything: rows change, and the workers and the sweeper follow them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from redis.asyncio import Redis

from server.db.session import Database
from server.errors import BadInputError
from server.queue import operating
from server.queue.asking import StopJob
from server.queue.effects import EffectState
from server.queue.kinds import KINDS, QUEUES, queues

# Progress that nobody renewed for so long is shown as old.
STALE_AFTER_S = 10
BATCH = 500
MOST_SHOWN = 200
ENDED_BADLY = ("failed", "quarantined", "expired", "cancelled")
# Whether these went out is known, or cannot be known: running their job again must be meant.
SENT_OR_UNKNOWN = ("sent", "confirmed", "unknown", "sending")
SETTLED_BY_HAND = (EffectState.CONFIRMED, EffectState.NOT_SENT, EffectState.ABANDONED)
SORTS = ("kind", "queue", "business")
BUSINESS_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Selection:
    """Which ended jobs are meant; None leaves a property open."""

    states: Sequence[str] = ("failed", "quarantined")
    kind: str | None = None
    queue: str | None = None
    business_id: int | None = None
    reason: str | None = None
    ended_within_s: float | None = None
    job_ids: Sequence[str] | None = None

    def arguments(self) -> list[Any]:
        """Return what the statements take; raise BadInputError for what does not exist."""
        wrong = sorted(set(self.states) - set(ENDED_BADLY))
        if wrong or not self.states:
            raise BadInputError(
                "bad_state", f"These states cannot be run again: {', '.join(wrong) or 'none'}."
            )
        if self.kind is not None:
            _check_known("kind", self.kind, set(KINDS))
        if self.queue is not None:
            _check_known("queue", self.queue, {*QUEUES, *queues()})
        ids = None if self.job_ids is None else list(self.job_ids)
        return [
            *(list(self.states), self.kind, self.queue, self.business_id),
            *(self.reason, self.ended_within_s, ids),
        ]


@dataclass(frozen=True)
class Preview:
    """What running a selection again would touch: jobs, those held back, and effects by state."""

    jobs: int
    held_back: int
    effects: Mapping[str, int]


@dataclass(frozen=True)
class Cancelled:
    """What became of a job that was to be cancelled: its state, and the worker that was told to stop it."""

    state: str
    worker: str | None = None


class Operators:
    """The deeds of one operator, by the name `actor`."""

    def __init__(self, database: Database, redis: Redis, *, actor: str) -> None:
        self._database = database
        self._redis = redis
        self._actor = actor

    async def cancel(self, job_id: str, *, reason: str) -> Cancelled:
        """Cancel a job that waits, or tell the worker that runs it to stop. Raises BadInputError for others.

        A running job ends within seconds: the worker hears it through Redis, and without Redis when
        it renews the job's lease.
        """
        async with self._database.driver() as connection:
            row = await connection.fetchrow(operating.CANCEL, job_id, self._actor, reason)
        if row is None:
            raise BadInputError("no_such_job", f"There is no job {job_id}.")
        if row["before"] not in {"ready", "running"}:
            raise BadInputError("job_ended", f"The job {job_id} has ended already: {row['before']}.")
        if row["worker"] is not None:
            told = StopJob(row["worker"], f"{job_id}-{row['dispatch_no']}")
            await self._redis.publish(told.channel, told.command)
        return Cancelled("cancelled" if row["before"] == "ready" else "running", row["worker"])

    async def pause(self, sort: str, name: str, *, reason: str) -> bool:
        """Keep work of a kind, a queue or a business waiting; tell whether it was not paused before."""
        _check_pause(sort, name)
        async with self._database.driver() as connection:
            if sort == "business" and await connection.fetchrow(operating.BUSINESS, int(name)) is None:
                raise BadInputError("no_such_name", f"There is no business {name}.")
            row = await connection.fetchrow(operating.PAUSE, sort, name, reason, self._actor)
        return row is not None

    async def resume(self, sort: str, name: str) -> bool:
        """Let paused work go on; tell whether it was paused."""
        _check_pause(sort, name)
        async with self._database.driver() as connection:
            row = await connection.fetchrow(operating.RESUME, sort, name, self._actor)
        return row is not None

    async def preview(self, selection: Selection, *, even_sent: bool = False) -> Preview:
        """Say what `run_again` would do, and change nothing."""
        async with self._database.driver() as connection:
            arguments = selection.arguments()
            counts = await connection.fetchrow(operating.COUNT_SELECTED, *arguments, list(SENT_OR_UNKNOWN))
            effects = await connection.fetch(operating.COUNT_EFFECTS, *arguments)
        held_back = 0 if even_sent else counts["held_back"]
        return Preview(
            counts["jobs"] - held_back, held_back, {row["state"]: row["effects"] for row in effects}
        )

    async def run_again(self, selection: Selection, *, reason: str, even_sent: bool = False) -> int:
        """Make a selection ready again, in batches; return how many jobs.

        Jobs with an effect that was or may have been sent are left, unless `even_sent`; even then
        the effect itself is not sent again.
        """
        arguments, again = selection.arguments(), 0
        held_back = [] if even_sent else list(SENT_OR_UNKNOWN)
        while True:
            async with self._database.driver() as connection:
                rows = await connection.fetch(
                    operating.RUN_AGAIN, *arguments, held_back, self._actor, reason, BATCH
                )
            again += len(rows)
            if len(rows) < BATCH:
                return again

    async def settle(self, key: str, state: EffectState, *, reason: str) -> None:
        """Say what became of an effect that nobody could know; raise BadInputError if it is known."""
        if state not in SETTLED_BY_HAND:
            raise BadInputError(
                "bad_state", f"An effect is settled as one of {', '.join(SETTLED_BY_HAND)}, not {state}."
            )
        async with self._database.driver() as connection:
            row = await connection.fetchrow(operating.SETTLE, key, state.value, self._actor, reason)
        if row is None:
            raise BadInputError("not_unknown", f"There is no unknown effect {key}.")

    async def is_suspended(self) -> bool:
        """Tell whether `rq suspend` keeps all workers from taking work. Raises RedisError."""
        return bool(await self._redis.exists("rq:suspended"))

    async def queues(self) -> list[asyncpg.Record]:
        """Return queue, kind, ready, running, oldest_s and paused for each kind that has work."""
        return await self._rows(operating.QUEUES)

    async def running(self, *, limit: int = MOST_SHOWN) -> list[asyncpg.Record]:
        """Return the longest running jobs: id, kind, business_id, attempts, running_s, worker.

        Those that tell how far they are have total, progress_share in thousandths and progress_age_s.
        """
        return await self._rows(operating.RUNNING, min(limit, MOST_SHOWN))

    async def pauses(self, *, limit: int = MOST_SHOWN) -> list[asyncpg.Record]:
        """Return what is paused, the oldest first: sort, name, reason, paused_by, since_s."""
        return await self._rows(operating.PAUSES, min(limit, MOST_SHOWN))

    async def ended_badly(self, selection: Selection, *, limit: int = MOST_SHOWN) -> list[asyncpg.Record]:
        """Return the latest jobs of a selection: id, kind, business_id, state, reason, attempts, ended_s."""
        return await self._rows(operating.SELECTED, *selection.arguments(), min(limit, MOST_SHOWN))

    async def unknown_effects(self, *, limit: int = MOST_SHOWN) -> list[asyncpg.Record]:
        """Return effects that nobody can know: key, business_id, provider, reason, since_s."""
        return await self._rows(operating.UNKNOWN_EFFECTS, min(limit, MOST_SHOWN))

    async def _rows(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self._database.driver() as connection:
            return list(await connection.fetch(statement, *arguments))


def _check_pause(sort: str, name: str) -> None:
    if sort not in SORTS:
        raise BadInputError("bad_sort", f"Only a {', a '.join(SORTS)} can be paused, not a {sort}.")
    if sort == "business":
        if not BUSINESS_NUMBER.fullmatch(name):
            raise BadInputError("no_such_name", f"A business is named by its number, not {name}.")
        return
    _check_known(sort, name, set(KINDS) if sort == "kind" else {*QUEUES, *queues()})


def _check_known(sort: str, name: str, known: set[str]) -> None:
    if name not in known:
        raise BadInputError(
            "no_such_name", f"There is no {sort} {name}: use one of {', '.join(sorted(known))}."
        )
