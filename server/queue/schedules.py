"""Schedules as people and domains know them: made, changed, paused, run by hand. Every deed is recorded.

Each function works within its caller's transaction and rights: a business reaches its own schedules, and only
looks at the installation's. What was due by the old plan is recorded before a plan changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson
from redis.asyncio import Redis

from server.errors import BadInputError
from server.queue.asking import Dispatch, dispatch_of, job_id
from server.queue.kinds import KIND_OF, KINDS
from server.queue.slots import WITH_SECONDS, Plan
from server.queue.timekeeping import (
    COLUMNS,
    MOST_SLOTS,
    Schedule,
    dispatches_of,
    judge,
    payload_at,
    record,
    schedule_of,
)

# In Redis: who keeps time now, as host:pid:secret.
LOCK_KEY = "scheduler:global_lock"
MOST_OF_A_BUSINESS = 1000
MOST_SHOWN = 200
NO_REASON = "no reason given"
SKIPPED_COUNTED = 100
READ = f"SELECT {COLUMNS}, now() AS now FROM schedule WHERE name = $1 AND kind IS NOT NULL FOR UPDATE"  # noqa: S608 -- composed of constants
COUNT = "SELECT count(*) FROM schedule WHERE business_id = $1"
KEEP = """
INSERT INTO schedule (name, business_id, label, kind, version, payload, cron, zone, catch_up, longest_age_s,
                      watermark, next_slot)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, $10, now(), $11)
ON CONFLICT (name) DO UPDATE
SET label = $3, version = $5, payload = $6::jsonb, cron = $7, zone = $8, catch_up = $9, longest_age_s = $10,
    watermark = CASE WHEN (schedule.cron, schedule.zone) = ($7, $8) THEN schedule.watermark
                     ELSE greatest(schedule.watermark, now()) END,
    next_slot = $11, trouble = NULL, revision = schedule.revision + 1, updated_at = now()
RETURNING xmax = 0 AS is_new
"""
REMOVE = "DELETE FROM schedule WHERE name = $1 AND business_id IS NOT NULL RETURNING business_id"
PAUSE = """
UPDATE schedule SET paused_at = now(), paused_by = $2, pause_reason = $3, revision = revision + 1
WHERE name = $1 AND paused_at IS NULL RETURNING business_id
"""
RESUME = """
UPDATE schedule SET paused_at = NULL, paused_by = NULL, pause_reason = NULL, revision = revision + 1
WHERE name = $1 AND paused_at IS NOT NULL RETURNING business_id
"""
RAN = "SELECT EXISTS (SELECT FROM schedule_audit WHERE schedule = $1 AND deed = 'run' AND at >= $2)"
RUN = """
INSERT INTO schedule_slot (schedule, slot, state, job_id, reason, business_id, asked_by)
VALUES ($1, $2, 'enqueued', $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING slot
"""
ASK = "SELECT id, kind, queue, business_id, dispatch_no FROM ask_for_jobs($1::jsonb)"
AUDIT = "INSERT INTO schedule_audit (schedule, business_id, deed, actor, reason) VALUES ($1, $2, $3, $4, $5)"
LIST = f"""
SELECT schedule.name, schedule.business_id, label, schedule.kind, cron, zone, catch_up, longest_age_s,
       next_slot, trouble, paused_at, paused_by, pause_reason, now() AS now,
       last.slot AS last_slot, last.state AS last_state, last.reason AS last_reason, last.asked_by,
       coalesce(job.state, house_job_state(last.job_id)) AS job_state,
       greatest(extract(epoch FROM last.created_at - last.slot), 0)::float8 AS lateness_s,
       greatest(extract(epoch FROM now() - next_slot), 0)::float8 AS lag_s,
       (SELECT count(*) FROM (SELECT FROM schedule_slot AS slot
                              WHERE slot.schedule = schedule.name AND slot.state = 'skipped'
                              LIMIT {SKIPPED_COUNTED}) AS few) AS skipped
FROM schedule
LEFT JOIN LATERAL (SELECT * FROM schedule_slot AS slot WHERE slot.schedule = schedule.name
                   ORDER BY slot.slot DESC LIMIT 1) AS last ON true
LEFT JOIN job ON job.id = last.job_id
WHERE schedule.kind IS NOT NULL AND ($1::text IS NULL OR schedule.name = $1)
ORDER BY schedule.business_id NULLS FIRST, schedule.name LIMIT $2
"""  # noqa: S608 -- composed of constants
SKIPPED = """
SELECT schedule, slot, reason, created_at FROM schedule_slot
WHERE state = 'skipped' AND ($1::text IS NULL OR schedule = $1) ORDER BY slot DESC LIMIT $2
"""
# Of each schedule its latest, by the index of skipped slots.
SKIPPED_OF_EACH = """
SELECT skipped.schedule, skipped.slot, skipped.reason
FROM unnest($1::text[]) AS one (name) CROSS JOIN LATERAL (
    SELECT schedule, slot, reason FROM schedule_slot
    WHERE schedule = one.name AND state = 'skipped' ORDER BY slot DESC LIMIT $2) AS skipped
ORDER BY skipped.schedule, skipped.slot DESC LIMIT $3
"""


@dataclass(frozen=True)
class Actor:
    """Who does it, and why, for the audit."""

    name: str
    reason: str


async def keep(  # noqa: PLR0913 -- what a schedule is
    connection: asyncpg.Connection,
    payload_type: type,
    facts: Mapping[str, Any],
    plan: Plan,
    *,
    business_id: int,
    key: str,
    label: str,
    by: Actor,
) -> tuple[str, list[Dispatch]]:
    """Make a business's schedule, or change it; return its name, and dispatches to announce.

    `facts` are what its jobs carry besides their slot; `key` tells a business's schedules of one kind apart.
    A changed plan begins with its first slot from now; where the database's clock went back, with the first
    after its watermark: what has been does not come again. Raises BadInputError `bad_schedule`.
    """
    kind = KIND_OF[payload_type]
    name = job_id(kind.name, business_id, key=key)
    if len(plan.cron.split()) == WITH_SECONDS:
        raise BadInputError("bad_schedule", "A business's schedule comes once a minute at most.")
    known, dispatches, now = await _settled(connection, name)
    if known is None and await connection.fetchval(COUNT, business_id) >= MOST_OF_A_BUSINESS:
        raise BadInputError("too_many_schedules", f"A business has {MOST_OF_A_BUSINESS} schedules at most.")
    kind.decode(payload_at(kind, facts, now), kind.version)
    row = await connection.fetchrow(
        KEEP,
        *(name, business_id, label, kind.name, kind.version, orjson.dumps(facts).decode()),
        *(plan.cron, plan.zone, plan.catch_up.value, int(plan.longest_age.total_seconds())),
        plan.first_after(now if known is None else max(now, known.watermark)),
    )
    deed = "made" if row["is_new"] else "changed"
    await connection.execute(AUDIT, name, business_id, deed, by.name, by.reason)
    return name, dispatches


async def remove(connection: asyncpg.Connection, name: str, *, by: Actor) -> bool:
    """Remove a business's schedule with its slots; its jobs and its audit stay. Tell whether it was there.

    What is due at this moment and not yet asked for is not asked for any more.
    """
    row = await connection.fetchrow(REMOVE, name)
    if row is not None:
        await connection.execute(AUDIT, name, row["business_id"], "removed", by.name, by.reason)
    return row is not None


async def pause(connection: asyncpg.Connection, name: str, *, by: Actor) -> list[Dispatch]:
    """Skip a schedule's slots from now on, each with this reason; raise BadInputError."""
    return await _switch(connection, name, PAUSE, "paused", by)


async def resume(connection: asyncpg.Connection, name: str, *, by: Actor) -> list[Dispatch]:
    """Let a schedule's slots run again from now on; raise BadInputError."""
    return await _switch(connection, name, RESUME, "resumed", by)


async def run_now(
    connection: asyncpg.Connection, name: str, *, by: Actor, unless_since: datetime | None = None
) -> list[Dispatch]:
    """Ask for a run at this moment, beside the plan; raise BadInputError. A paused schedule runs too.

    `unless_since` is when somebody was asked whether they want that: of their answers the first one counts.
    """
    row = await connection.fetchrow(READ, name)
    if row is None:
        raise _unknown(name)
    if row["kind"] not in KINDS:
        raise BadInputError("unknown_kind", f"{name} is of a kind that this release does not know.")
    if unless_since and await connection.fetchval(RAN, name, unless_since):
        raise _asked_already(name)
    schedule = schedule_of(row)
    job = schedule.job(row["now"])
    about = (job["id"], by.reason, schedule.business_id, by.name)
    if await connection.fetchval(RUN, name, row["now"], *about) is None:
        raise _asked_already(name)
    await connection.execute(AUDIT, name, schedule.business_id, "run", by.name, by.reason)
    asked = await connection.fetch(ASK, orjson.dumps([job]).decode())
    return [dispatch_of(one) for one in asked if one["dispatch_no"]]


async def listed(
    connection: asyncpg.Connection, *, name: str | None = None, limit: int = MOST_SHOWN
) -> list[asyncpg.Record]:
    """Return schedules with their last slot, lag and skipped slots, the installation's own first."""
    return list(await connection.fetch(LIST, name, min(limit, MOST_SHOWN)))


async def skipped(
    connection: asyncpg.Connection, *, name: str | None = None, limit: int = MOST_SHOWN
) -> list[asyncpg.Record]:
    """Return skipped slots with their reasons, the latest first: schedule, slot, reason, created_at."""
    return list(await connection.fetch(SKIPPED, name, min(limit, MOST_SHOWN)))


async def skipped_of_each(
    connection: asyncpg.Connection, names: Sequence[str], *, limit: int
) -> list[asyncpg.Record]:
    """Return the latest skipped slots of these schedules, `limit` in all and as many of one as of another."""
    each = limit // max(len(names), 1)
    return list(await connection.fetch(SKIPPED_OF_EACH, names, each, limit))


async def timekeeper(redis: Redis) -> str | None:
    """Return which scheduler holds the lock, as host:pid; raise RedisError."""
    token = await redis.get(LOCK_KEY)
    held_by = token.decode() if isinstance(token, bytes) else token
    return held_by.rpartition(":")[0] if held_by else None


async def _switch(
    connection: asyncpg.Connection, name: str, statement: str, deed: str, by: Actor
) -> list[Dispatch]:
    known, dispatches, _ = await _settled(connection, name)
    if known is None:
        raise _unknown(name)
    arguments = [name] if deed == "resumed" else [name, by.name, by.reason]
    row = await connection.fetchrow(statement, *arguments)
    if row is None:
        how = "is not paused" if deed == "resumed" else "is paused already"
        raise BadInputError("nothing_to_do", f"{name} {how}.")
    await connection.execute(AUDIT, name, row["business_id"], deed, by.name, by.reason)
    return dispatches


async def _settled(
    connection: asyncpg.Connection, name: str
) -> tuple[Schedule | None, list[Dispatch], datetime]:
    """Lock a schedule and record what is due by its plan as it is."""
    dispatches: list[Dispatch] = []
    while True:
        row = await connection.fetchrow(READ, name)
        if row is None:
            return None, [], await connection.fetchval("SELECT now()")
        schedule, now = schedule_of(row), row["now"]
        if row["next_slot"] is None or row["next_slot"] > now or schedule.kind not in KINDS:
            return schedule, dispatches, now
        dispatches += dispatches_of(await record(connection, [judge(schedule, now=now, most=MOST_SLOTS)]))


def _asked_already(name: str) -> BadInputError:
    return BadInputError("nothing_to_do", f"{name} was asked to run already.")


def _unknown(name: str) -> BadInputError:
    return BadInputError("no_such_schedule", f"There is no schedule {name}.")
