"""What a business sees of its own work, and may do about it: for pages, in the api's own role.

Everything is read within a transaction of the business, under row-level security. The deeds are
functions of the database, which record the transaction's user as the actor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from server.db.session import Session, driver_of
from server.errors import BadInputError
from server.queue import statements
from server.queue.asking import Changed, StopJob, dispatch_of
from server.queue.effects import EffectState
from server.queue.operators import SENT_OR_UNKNOWN, STALE_AFTER_S

ENDED_BADLY = ("failed", "quarantined", "expired")
SETTLED_BY_MEMBER = (EffectState.CONFIRMED, EffectState.NOT_SENT)
RowT = TypeVar("RowT")

# What waits and what runs, each part by an index of its own: finished rows, however many, are not read.
_COLUMNS = (
    "id, kind, queue, state, attempts, reason, due_at, started_at, payload, cancel_asked_at,"
    " progress, progress_at, progress_share"
)
_WAITING = f"""(
SELECT {_COLUMNS} FROM job WHERE state = 'ready' AND dispatched_at IS NULL AND business_id = $1
UNION ALL
SELECT {_COLUMNS} FROM job WHERE state = 'ready' AND dispatched_at IS NOT NULL AND business_id = $1)
"""  # noqa: S608 -- composed of constants
_RUNNING = f"SELECT {_COLUMNS} FROM job WHERE state = 'running' AND business_id = $1"  # noqa: S608 -- the same
_IS_HELD_BACK = "EXISTS (SELECT FROM effect WHERE effect.job_id = job.id AND effect.state = ANY($2::text[]))"

_SHOWN = f"""
id, kind, attempts, reason, state, payload::text AS payload, cancel_asked_at IS NOT NULL AS is_stopping,
progress::text AS progress, progress_at, progress_share,
state = 'running' AND progress_at < now() - {STALE_AFTER_S} * interval '1 second' AS is_stale
"""

QUEUES = f"""
SELECT kind, queue, count(*) FILTER (WHERE state = 'ready') AS waiting,
       count(*) FILTER (WHERE state = 'running') AS running,
       min(due_at) FILTER (WHERE state = 'ready' AND due_at <= now()) AS oldest_at
FROM ({_WAITING} UNION ALL {_RUNNING}) AS job GROUP BY kind, queue ORDER BY kind, queue LIMIT $2
"""  # noqa: S608 -- composed of constants
RUNNING = f"""
SELECT {_SHOWN}, started_at AS at FROM ({_RUNNING}) AS job ORDER BY started_at LIMIT $2
"""  # noqa: S608 -- composed of constants
WAITING = f"""
SELECT {_SHOWN}, due_at AS at FROM {_WAITING} AS job ORDER BY due_at LIMIT $2
"""  # noqa: S608 -- composed of constants
ENDED = f"""
SELECT {_SHOWN}, finished_at AS at, {_IS_HELD_BACK} AS held_back
FROM job WHERE business_id = $1 AND state IN ('failed', 'quarantined', 'expired')
ORDER BY finished_at DESC LIMIT $3
"""  # noqa: S608 -- composed of constants
COUNT_ENDED = f"""
SELECT count(*) FILTER (WHERE NOT held_back) AS jobs, count(*) FILTER (WHERE held_back) AS held_back,
       count(*) FILTER (WHERE NOT held_back AND state = 'expired') AS expired
FROM (SELECT state, {_IS_HELD_BACK} AS held_back FROM job
      WHERE business_id = $1 AND state IN ('failed', 'quarantined', 'expired')
        AND ($3::text[] IS NULL OR id = ANY($3))) AS ended
"""  # noqa: S608 -- composed of constants
UNKNOWN_EFFECTS = """
SELECT key, provider, reason, sending_at AS at FROM effect
WHERE business_id = $1 AND state = 'unknown' ORDER BY sending_at LIMIT $2
"""
# How much of the business's own work each pause holds back.
PAUSES = f"""
SELECT sort, name, reason, paused_by, paused_at AS at,
       (SELECT count(*) FROM {_WAITING} AS job
        WHERE pause.sort = 'business'
           OR pause.name = CASE pause.sort WHEN 'kind' THEN job.kind ELSE job.queue END) AS held
FROM own_pauses() AS pause ORDER BY paused_at LIMIT $2
"""  # noqa: S608 -- composed of constants
RUN_AGAIN = "SELECT id FROM run_own_jobs_again($1, $2)"
STOP = "SELECT before, dispatch_no, worker FROM stop_own_job($1)"
ABANDON = "SELECT abandon_own_effect($1)"
STATES = "SELECT id, state FROM job WHERE id = ANY($1::text[]) ORDER BY id LIMIT $2"
SETTLE = "SELECT settle_own_effect($1, $2)"


class Stopped(StrEnum):
    """What became of a job that was to be cancelled."""

    CANCELLED = "cancelled"
    TOLD_TO_STOP = "told_to_stop"
    TOO_LATE = "too_late"


@dataclass(frozen=True)
class QueueRow:
    """The open work of one kind; `oldest_at` is since when the oldest of it could have run."""

    kind: str
    queue: str
    waiting: int
    running: int
    oldest_at: datetime | None


@dataclass(frozen=True)
class JobRow:
    """A job with the moment its list is ordered by; `held_back` means that it sent, or may have sent.

    `payload` and `progress` are JSON; `progress_share` is in thousandths, and stale when news stopped.
    """

    id: str
    kind: str
    attempts: int
    at: datetime
    reason: str | None
    state: str
    payload: str
    is_stopping: bool
    progress: str | None
    progress_at: datetime | None
    progress_share: int
    is_stale: bool | None
    held_back: bool = False


@dataclass(frozen=True)
class PauseRow:
    """What holds work back: a kind, a queue or the business; `held` counts the business's own jobs."""

    sort: str
    name: str
    reason: str
    paused_by: str
    at: datetime
    held: int


@dataclass(frozen=True)
class EffectRow:
    """Something of which nobody knows yet whether it was sent."""

    key: str
    provider: str
    reason: str | None
    at: datetime


@dataclass(frozen=True)
class Work:
    """All of a business's work that did not end well, each list with at most as many as was asked for."""

    queues: Sequence[QueueRow]
    running: Sequence[JobRow]
    waiting: Sequence[JobRow]
    ended: Sequence[JobRow]
    unknown: Sequence[EffectRow]
    pauses: Sequence[PauseRow]


@dataclass(frozen=True)
class Again:
    """What running jobs again would touch: jobs, those of them that had expired, and those held back."""

    jobs: int
    expired: int
    held_back: int


async def read_work(session: Session, business_id: int, limit: int) -> Work:
    """Read the lists: running and waiting the oldest first, what ended badly the newest first."""
    return Work(
        queues=await _rows(session, QueueRow, QUEUES, business_id, limit),
        running=await _rows(session, JobRow, RUNNING, business_id, limit),
        waiting=await _rows(session, JobRow, WAITING, business_id, limit),
        ended=await _rows(session, JobRow, ENDED, business_id, list(SENT_OR_UNKNOWN), limit),
        unknown=await _rows(session, EffectRow, UNKNOWN_EFFECTS, business_id, limit),
        pauses=await _rows(session, PauseRow, PAUSES, business_id, limit),
    )


async def states_of(session: Session, job_ids: Sequence[str]) -> dict[str, str]:
    """Return how these jobs stand; those that were forgotten are not there."""
    ids = [*job_ids]
    rows = await (await driver_of(session)).fetch(STATES, ids, len(ids))
    return {row["id"]: row["state"] for row in rows}


async def preview_again(session: Session, business_id: int, chosen: Sequence[str] | None) -> Again:
    """Say what `run_again` would do to these jobs, or to all that ended badly, and change nothing."""
    [counted] = await _rows(
        session,
        Again,
        COUNT_ENDED,
        business_id,
        list(SENT_OR_UNKNOWN),
        None if chosen is None else list(chosen),
    )
    return counted


async def run_again(session: Session, business_id: int, chosen: Sequence[str] | None, *, limit: int) -> int:
    """Make these jobs ready again, or all that ended badly, `limit` at most; return how many.

    The transaction must carry its user. What sent something, or may have, is left as it is.
    """
    connection = await driver_of(session)
    rows = await connection.fetch(RUN_AGAIN, None if chosen is None else list(chosen), limit)
    ids = [row["id"] for row in rows]
    # As many as are first in their lane go to Redis at once; a lane's next follows its head.
    session.outbox.extend(dispatch_of(row) for row in await connection.fetch(statements.DISPATCH_AGAIN, ids))
    if ids:
        session.outbox.append(Changed(business_id, "job", ids[0]))
    return len(ids)


async def cancel(session: Session, business_id: int, job_id: str) -> Stopped:
    """Cancel a job that waits, or tell the worker that runs it to stop, once the transaction commits.

    A running job ends within seconds; without Redis, when its lease is renewed. It may still be done
    first. The transaction must carry its user.
    """
    row = await (await driver_of(session)).fetchrow(STOP, job_id)
    if row is None:
        return Stopped.TOO_LATE
    session.outbox.append(Changed(business_id, "job", job_id))
    if row["before"] == "ready":
        return Stopped.CANCELLED
    if row["worker"] is not None:
        session.outbox.append(StopJob(row["worker"], f"{job_id}-{row['dispatch_no']}"))
    return Stopped.TOLD_TO_STOP


async def settle(session: Session, business_id: int, key: str, state: EffectState) -> bool:
    """Record that a member found out whether an unknown effect was sent; tell whether it was still unknown.

    Raises BadInputError for other states than confirmed and not sent. The transaction must carry its user.
    """
    if state not in SETTLED_BY_MEMBER:
        raise BadInputError("bad_state", f"A member settles an effect as {' or '.join(SETTLED_BY_MEMBER)}.")
    was_unknown: bool = await (await driver_of(session)).fetchval(SETTLE, key, state.value)
    if was_unknown:
        session.outbox.append(Changed(business_id, "job", key))
    return was_unknown


async def abandon(session: Session, key: str) -> bool:
    """Stop looking for what became of an effect: its member does it again whatever that was.

    Tells whether it was still unknown. The transaction must carry its user.
    """
    return bool(await (await driver_of(session)).fetchval(ABANDON, key))


async def _rows(session: Session, shape: type[RowT], statement: str, *arguments: Any) -> list[RowT]:
    rows = await (await driver_of(session)).fetch(statement, *arguments)
    return [shape(**dict(row)) for row in rows]
