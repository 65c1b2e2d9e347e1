"""From a schedule's plan to rows: its due slots are recorded together with their jobs, each once.

Slots are computed from what was read, by the database's clock, and recorded by one statement that does
nothing where somebody recorded or changed the schedule meanwhile. So no lock is needed, and nobody who
stands still holds one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson

from server.errors import BadInputError
from server.queue.asking import Asked, Dispatch, dispatch_of
from server.queue.kinds import KINDS, JobKind
from server.queue.slots import CatchUp, Plan, Slot, due_slots

# So many slots are recorded at a time, over all schedules: a long outage is worked off in many steps.
MOST_SLOTS = 1000
# The trouble of an entry of the installation that this release no longer has.
RETIRED = "no longer in the timetable"
COLUMNS = """
name, business_id, kind, version, payload::text AS payload, cron, zone, catch_up, longest_age_s,
watermark, next_slot, revision, paused_by, pause_reason
"""
DUE = f"""
SELECT {COLUMNS}, now() AS now FROM schedule
WHERE next_slot <= now() AND kind = ANY($1::text[]) ORDER BY next_slot LIMIT $2
"""  # noqa: S608 -- composed of constants
RECORD = """
SELECT schedule, slot, is_skipped, id, kind, queue, business_id, dispatch_no FROM record_slots($1::jsonb)
"""
SET_ASIDE = """
UPDATE schedule SET next_slot = NULL, trouble = $3 WHERE name = $1 AND revision = $2 RETURNING name
"""


@dataclass(frozen=True)
class Schedule:
    """A schedule as it was read; `payload` is what its jobs carry besides their slot."""

    name: str
    business_id: int | None
    kind: str
    version: int
    payload: Mapping[str, Any]
    plan: Plan
    watermark: datetime
    revision: int
    paused: str | None

    def job(self, at: datetime) -> dict[str, Any]:
        """Return the ledger row of a slot's job; raise BadInputError where the kind refuses its payload."""
        kind = KINDS[self.kind]
        payload = payload_at(kind, self.payload, at)
        asked = Asked(
            kind.decode(payload, self.version), self.business_id, key=f"{self.name} at {at.isoformat()}"
        )
        return asked.row()


@dataclass(frozen=True)
class Judged:
    """The slots of one schedule that passed, and what record_slots() takes of them."""

    schedule: Schedule
    slots: Sequence[Slot]
    told: Mapping[str, Any]


def payload_at(kind: JobKind, payload: Mapping[str, Any], at: datetime) -> str:
    """Return a slot's payload as JSON: with the slot, where the kind wants to know it."""
    wants_slot = any(field.name == "slot" for field in fields(kind.payload_type))
    return orjson.dumps({**payload, "slot": at} if wants_slot else payload).decode()


def schedule_of(row: asyncpg.Record) -> Schedule:
    """Build a schedule from a row with COLUMNS."""
    plan = Plan(row["cron"], row["zone"], CatchUp(row["catch_up"]), timedelta(seconds=row["longest_age_s"]))
    paused = f"paused by {row['paused_by']}: {row['pause_reason']}" if row["paused_by"] else None
    return Schedule(
        *(row["name"], row["business_id"], row["kind"], row["version"], orjson.loads(row["payload"]), plan),
        *(row["watermark"], row["revision"], paused),
    )


def judge(schedule: Schedule, *, now: datetime, most: int) -> Judged:
    """Decide what becomes of a schedule's slots up to now, the oldest `most` of them; raise BadInputError."""
    due = due_slots(schedule.plan, after=schedule.watermark, until=now, most=most, paused=schedule.paused)
    return Judged(
        schedule,
        due.slots,
        {
            "name": schedule.name,
            "revision": schedule.revision,
            "was": schedule.watermark,
            "watermark": due.slots[-1].at if due.slots else schedule.watermark,
            "next_slot": due.following,
            "slots": [
                {"at": slot.at, "reason": slot.skipped}
                | ({} if slot.skipped else {"job": schedule.job(slot.at)})
                for slot in due.slots
            ],
        },
    )


async def record(connection: asyncpg.Connection, judged: Sequence[Judged]) -> list[asyncpg.Record]:
    """Record slots with their jobs, in one statement; return those that are new, with columns of RECORD."""
    told = orjson.dumps([one.told for one in judged]).decode()
    return list(await connection.fetch(RECORD, told))


def dispatches_of(recorded: Sequence[asyncpg.Record]) -> list[Dispatch]:
    """Return the dispatches of the jobs that are new."""
    return [dispatch_of(row) for row in recorded if row["dispatch_no"]]


async def set_aside(connection: asyncpg.Connection, schedule: Schedule, why: BadInputError | str) -> None:
    """Keep a schedule that cannot be kept from being tried again, and say why."""
    await connection.execute(SET_ASIDE, schedule.name, schedule.revision, str(why)[:500])
