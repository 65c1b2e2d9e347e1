"""What is due becomes rows with their jobs, in steps of bounded size."""

from __future__ import annotations

from collections import Counter as CounterOf
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
import orjson
from prometheus_client import Counter, Histogram

from server.db.session import Database
from server.errors import BadInputError
from server.log import get_logger
from server.queue.asking import Dispatch
from server.queue.kinds import KINDS
from server.queue.timekeeping import (
    DUE,
    MOST_SLOTS,
    RETIRED,
    Judged,
    Schedule,
    dispatches_of,
    judge,
    record,
    schedule_of,
    set_aside,
)
from server.scheduler.schedule import TIMETABLE

log = get_logger(__name__)

HOUSE = frozenset(entry.kind.name for entry in TIMETABLE)
MOST_SCHEDULES = 500
BUSINESSES = "of businesses"
# What one row can do to a statement for many.
REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
LATENESS = Histogram(
    "prosaas_slot_lateness_seconds",
    "From a slot to the moment at which it was enqueued, in seconds.",
    ["schedule"],
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600, 3600),
)
SKIPPED = Counter("prosaas_slots_skipped", "Slots that passed and were not made up for.", ["schedule"])
SET_ASIDE = Counter("prosaas_schedules_set_aside", "Schedules of which no slot can be told or enqueued.")

# The zone's and the plan's changes count from the watermark on, so that nothing between is missed.
REGISTER = """
INSERT INTO schedule (name, kind, version, payload, cron, zone, catch_up, longest_age_s, watermark, next_slot)
SELECT name, name, version, payload, cron, zone, catch_up, longest_age_s, now(), now()
FROM jsonb_to_recordset($1::jsonb) AS one (
    name text, version int, payload jsonb, cron text, zone text, catch_up text, longest_age_s int)
ON CONFLICT (name) DO UPDATE
SET kind = excluded.kind, version = excluded.version, payload = excluded.payload, cron = excluded.cron,
    zone = excluded.zone, catch_up = excluded.catch_up, longest_age_s = excluded.longest_age_s,
    next_slot = schedule.watermark, trouble = NULL, revision = schedule.revision + 1
WHERE (schedule.kind, schedule.version, schedule.payload, schedule.cron, schedule.zone, schedule.catch_up,
       schedule.longest_age_s)
      IS DISTINCT FROM (excluded.kind, excluded.version, excluded.payload, excluded.cron, excluded.zone,
                        excluded.catch_up, excluded.longest_age_s)
   OR schedule.trouble IS NOT NULL
"""
RETIRE = """
UPDATE schedule SET next_slot = NULL, trouble = $3, revision = revision + 1
WHERE business_id IS NULL AND NOT name = ANY($1::text[]) AND kind = ANY($2::text[]) AND next_slot IS NOT NULL
"""


@dataclass(frozen=True)
class Tick:
    """What a step recorded: dispatches to announce, and whether more may be due."""

    dispatches: Sequence[Dispatch] = field(default_factory=list)
    is_more: bool = False


async def register(database: Database, zone: str) -> None:
    """Enter the timetable as it is in this release; a new entry's first slot is the next one from now."""
    lines = []
    for entry in TIMETABLE:
        LATENESS.labels(entry.kind.name)
        SKIPPED.labels(entry.kind.name)
        plan = entry.plan(zone)
        lines.append(
            {
                "name": entry.kind.name,
                "version": entry.kind.version,
                "payload": entry.facts,
                "cron": plan.cron,
                "zone": plan.zone,
                "catch_up": plan.catch_up.value,
                "longest_age_s": int(plan.longest_age.total_seconds()),
            }
        )
    names = [line["name"] for line in lines]
    async with database.driver() as connection:
        await connection.execute(REGISTER, orjson.dumps(lines).decode())
        await connection.execute(RETIRE, names, sorted(KINDS), RETIRED)


async def tick(database: Database) -> Tick:
    """Record what is due: so many schedules and so many slots at most."""
    async with database.driver() as connection:
        rows = await connection.fetch(DUE, sorted(KINDS), MOST_SCHEDULES)
        if not rows:
            return Tick()
        now = rows[0]["now"]
        recorded = await _record(connection, await _judge(connection, rows))
    _tell(recorded, now)
    return Tick(dispatches_of(recorded), is_more=bool(recorded) or len(rows) == MOST_SCHEDULES)


async def _judge(connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> list[Judged]:
    judged, most = [], max(1, MOST_SLOTS // len(rows))
    for row in rows:
        schedule = schedule_of(row)
        try:
            judged.append(judge(schedule, now=row["now"], most=most))
        except BadInputError as error:
            await _set_aside(connection, schedule, str(error))
    return judged


async def _record(connection: asyncpg.Connection, judged: Sequence[Judged]) -> list[asyncpg.Record]:
    """Record all in one statement; where the database refuses that, each alone: one holds back no other."""
    try:
        return await record(connection, judged)
    except REFUSED as error:
        if len(judged) == 1:
            await _set_aside(connection, judged[0].schedule, f"PostgreSQL: {type(error).__name__}")
            return []
    recorded = []
    for one in judged:
        recorded += await _record(connection, [one])
    return recorded


async def _set_aside(connection: asyncpg.Connection, schedule: Schedule, why: str) -> None:
    await set_aside(connection, schedule, why)
    SET_ASIDE.inc()
    log.error("schedule_set_aside", schedule=schedule.name, why=why)


def _tell(recorded: Sequence[asyncpg.Record], now: datetime) -> None:
    passed = [row["schedule"] for row in recorded if row["is_skipped"]]
    for name, slots in CounterOf(passed).items():
        SKIPPED.labels(_label(name)).inc(slots)
        log.warning("slots_skipped", schedule=name, slots=slots)
    for row in recorded:
        if not row["is_skipped"]:
            lateness_s = max((now - row["slot"]).total_seconds(), 0)
            LATENESS.labels(_label(row["schedule"])).observe(lateness_s)


def _label(name: str) -> str:
    return name if name in HOUSE else BUSINESSES
