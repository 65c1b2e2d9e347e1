"""What there is to do, in one statement for jobs and one for slots: an idle cycle costs no more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from server.clock import monotonic_s
from server.db.session import Database
from server.queue.kinds import KINDS
from server.queue.sweeper import SUSPECT_AFTER_S

# Each part is answered by an index of its own. What waits behind others is due as long as it waits.
JOBS = """
SELECT now() AS now,
    EXISTS (SELECT FROM job WHERE state = 'ready' AND dispatched_at IS NULL AND due_at <= now()) AS is_due,
    (SELECT min(due_at) FROM job
     WHERE state = 'ready' AND dispatched_at IS NULL AND due_at > now()) AS next_due,
    EXISTS (SELECT FROM job WHERE state = 'running' AND lease_until < now())
    OR EXISTS (SELECT FROM job WHERE state = 'ready' AND expires_at < now())
    OR EXISTS (SELECT FROM job
               WHERE state = 'ready' AND dispatched_at < now() - $1::float8 * interval '1 second')
    OR EXISTS (SELECT FROM effect LEFT JOIN job ON job.id = effect.job_id
               WHERE effect.state = 'sending'
                 AND (job.id IS NULL OR job.state <> 'running' OR job.token <> effect.token)) AS is_untidy
"""
SLOTS = """
SELECT now() AS now,
    (SELECT min(next_slot) FROM schedule WHERE next_slot IS NOT NULL AND kind = ANY($1::text[])) AS next_slot
"""


@dataclass(frozen=True)
class Jobs:
    """What there was to do for jobs at one moment of the database's clock."""

    now: datetime
    is_due: bool
    next_due: datetime | None
    is_untidy: bool
    looked_at_s: float

    def rest_s(self, most_s: float) -> float:
        """Return for how long nothing new comes due, by what is known now."""
        return _rest_s(self.next_due, self.now, self.looked_at_s, most_s)


@dataclass(frozen=True)
class Slots:
    """The first slot that nobody has entered, at one moment of the database's clock."""

    now: datetime
    next_slot: datetime | None
    looked_at_s: float

    def are_due_for(self, patience: timedelta) -> bool:
        """Tell whether a slot has been due for so long."""
        return self.next_slot is not None and self.next_slot + patience <= self.now

    def rest_s(self, most_s: float, patience: timedelta) -> float:
        """Return how long it is until the next slot will have been due for so long."""
        coming = None if self.next_slot is None else self.next_slot + patience
        return _rest_s(coming, self.now, self.looked_at_s, most_s)


async def look_at_jobs(database: Database) -> Jobs:
    """Look what is due and what is to be put right."""
    looked_at_s = monotonic_s()
    async with database.driver() as connection:
        row: asyncpg.Record = await connection.fetchrow(JOBS, SUSPECT_AFTER_S)
    return Jobs(**dict(row), looked_at_s=looked_at_s)


async def look_at_slots(database: Database) -> Slots:
    """Look which slot comes first."""
    looked_at_s = monotonic_s()
    async with database.driver() as connection:
        row: asyncpg.Record = await connection.fetchrow(SLOTS, sorted(KINDS))
    return Slots(**dict(row), looked_at_s=looked_at_s)


def _rest_s(coming: datetime | None, now: datetime, looked_at_s: float, most_s: float) -> float:
    if coming is None or coming <= now:
        return most_s
    return max(0.0, min(most_s, (coming - now).total_seconds() - (monotonic_s() - looked_at_s)))
