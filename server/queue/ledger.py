"""The ledger: who may run a job, until when, and how it ended.

A claim raises the job's token; every later write of that run names its token, so a run that
was thought dead can write nothing. Only the database's clock is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import asyncpg

from server.db.gathering import Gathering
from server.db.session import Database
from server.queue import counts, statements
from server.queue.asking import Dispatch, dispatch_of


class Outcome(StrEnum):
    """How one attempt ended; a closed list."""

    DONE = "done"
    SNOOZED = "snoozed"
    RETRY = "retry"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    RELEASED = "released"
    LOST = "lost"
    QUARANTINED = "quarantined"


DEATHS_BEFORE_QUARANTINE = 3
# Why a job waits that no worker of this release can run.
WAITS_FOR_UPGRADE = "waits for a worker that knows this kind"
MOST_TOGETHER = 500

# Outcomes that put the job back to wait; the flag says whether the attempt counts.
WAITS_AGAIN = {Outcome.RETRY: True, Outcome.SNOOZED: False, Outcome.RELEASED: False}


@dataclass(frozen=True)
class Claim:
    """A worker's right to run one job, valid while the ledger shows its token.

    `expires_in_s` says how long its work is worth doing, None for ever; `checkpoint` is JSON;
    `waited_s` is how long after it was due the job was started.
    """

    job_id: str
    token: int
    attempts: int
    kind: str
    version: int
    payload: str
    business_id: int | None
    queue: str
    lane: str | None
    dispatch_no: int
    deaths: int
    checkpoint: str | None = None
    expires_in_s: float | None = None
    waited_s: float = 0.0

    @property
    def dispatch(self) -> Dispatch:
        """Return the dispatch that led to this claim."""
        return Dispatch(self.job_id, self.kind, self.queue, self.business_id, self.dispatch_no)


@dataclass(frozen=True)
class Ending:
    """How a run ended: `delay_s` says when to try again, for the outcomes that wait."""

    outcome: Outcome
    reason: str | None = None
    delay_s: float = 0.0


@dataclass(frozen=True)
class Buried:
    """A claim whose process died of it."""

    job_id: str
    token: int
    quarantined: bool


class Ledger:
    """Reads and writes job rows; `lease_s` is how long a claim lasts unless renewed."""

    def __init__(self, database: Database, *, lease_s: float) -> None:
        self._database = database
        self.lease_s = lease_s
        self._ending: Gathering[tuple[str, int, Ending], bool] = Gathering(self.end_all, most=MOST_TOGETHER)

    async def claim(self, job_ids: Sequence[str], *, worker: str) -> list[Claim]:
        """Claim those of these jobs that are ready, due and first in their lane."""
        async with self._database.driver() as connection:
            try:
                rows = await connection.fetch(statements.CLAIM, list(job_ids), self.lease_s, worker)
            except asyncpg.UniqueViolationError:
                # Two workers met in one lane: claim one by one, the loser's job waits its turn.
                rows = [row for one in job_ids for row in await self._claim_one(connection, one, worker)]
        return [Claim(**dict(row)) for row in rows]

    async def _claim_one(self, connection: asyncpg.Connection, job_id: str, worker: str) -> list[Any]:
        try:
            return list(await connection.fetch(statements.CLAIM, [job_id], self.lease_s, worker))
        except asyncpg.UniqueViolationError:
            return []

    async def claim_of(self, job_id: str, token: int) -> Claim | None:
        """Return a claim that another process made, while it holds."""
        async with self._database.driver() as connection:
            row = await connection.fetchrow(statements.CLAIM_OF, job_id, token)
        return Claim(**dict(row)) if row else None

    async def ending_of(self, job_id: str, token: int) -> Ending | None:
        """Return how a claim's run ended, or None while it did not."""
        async with self._database.driver() as connection:
            row = await connection.fetchrow(statements.ENDING_OF, job_id, token)
        return Ending(Outcome(row["outcome"]), row["reason"]) if row and row["outcome"] else None

    async def bury(self, held: Sequence[tuple[str, int]]) -> list[Buried]:
        """Count a death for each of these claims, made by a process that died of running it.

        The job waits again, or is quarantined at its third; claims that were lost meanwhile are left.
        """
        async with self._database.driver() as connection:
            rows = await connection.fetch(
                statements.BURY,
                [one for one, _ in held],
                [token for _, token in held],
                DEATHS_BEFORE_QUARANTINE,
            )
        counts.count_quarantined(rows)
        return [Buried(row["id"], row["token"], row["state"] == "quarantined") for row in rows]

    async def lives(self, job_id: str, token: int) -> bool:
        """Take back the death that was counted when this claim's lease ran out; tell whether one was."""
        async with self._database.driver() as connection:
            return await connection.fetchrow(statements.LIVES, job_id, token) is not None

    async def strays_of(self, worker: str) -> list[tuple[str, int]]:
        """Return (job id, token) of every job that the ledger says this worker's process runs."""
        async with self._database.driver() as connection:
            rows = await connection.fetch(statements.STRAYS, worker)
        return [(row["id"], row["token"]) for row in rows]

    async def unclaimed(self, job_ids: Sequence[str]) -> list[str]:
        """Mark ready jobs whose dispatch led to no claim, so that they are dispatched again; return them."""
        async with self._database.driver() as connection:
            rows = await connection.fetch(statements.UNCLAIMED, list(job_ids))
        return [row["id"] for row in rows]

    async def renew(self, held: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        """Renew the leases of (job id, token) pairs in one statement.

        Return the pairs still held, each with whether an operator wants the job cancelled.
        """
        async with self._database.driver() as connection:
            rows = await connection.fetch(
                statements.RENEW, [one for one, _ in held], [token for _, token in held], self.lease_s
            )
        return {(row["id"], row["token"]): row["cancelled"] for row in rows}

    async def end(self, claim: Claim, ending: Ending) -> bool:
        """Record how a run ended, unless it already did or lost its lease; tell whether it was recorded.

        What ends at the same moment shares one statement.
        """
        return await self._ending.ask((claim.job_id, claim.token, ending))

    async def end_all(self, ended: Sequence[tuple[str, int, Ending]]) -> list[bool]:
        """Record how runs of (job id, token) ended; one answer each, as `end` gives."""
        async with self._database.driver() as connection:
            recorded = await record_ends(connection, ended)
        return [(job_id, token) in recorded for job_id, token, _ in ended]

    async def next_in_lanes(self, lanes: Sequence[str]) -> list[Dispatch]:
        """Return a dispatch for each lane whose next job was passed over while it waited."""
        async with self._database.driver() as connection:
            rows = await connection.fetch(statements.NEXT_IN_LANES, list(lanes))
        return [dispatch_of(row) for row in rows]

    async def dispatch_again(self, job_ids: Sequence[str]) -> list[Dispatch]:
        """Return new dispatches for those of these jobs that wait, are due and first in their lane."""
        async with self._database.driver() as connection:
            rows = await connection.fetch(statements.DISPATCH_AGAIN, list(job_ids))
        return [dispatch_of(row) for row in rows]

    async def reopen(self, job_ids: Sequence[str], tokens: Sequence[int], *, actor: str) -> list[str]:
        """Make failed jobs ready again, when they still show the token they failed with; return their ids."""
        async with self._database.driver() as connection:
            rows = await connection.fetch(statements.REOPEN, list(job_ids), list(tokens), actor)
        return [row["id"] for row in rows]


async def record_ends(
    connection: asyncpg.Connection, ended: Sequence[tuple[str, int, Ending]]
) -> set[tuple[str, int]]:
    """Record endings on the caller's connection; return (job id, token) of the runs that still held them."""
    rows = await connection.fetch(
        statements.END,
        [job_id for job_id, _, _ in ended],
        [token for _, token, _ in ended],
        [ending.outcome.value for _, _, ending in ended],
        [ending.reason for _, _, ending in ended],
        [ending.delay_s if ending.outcome in WAITS_AGAIN else None for _, _, ending in ended],
        [int(WAITS_AGAIN.get(ending.outcome) is False) for _, _, ending in ended],
    )
    return {(row["job_id"], row["token"]) for row in rows}
