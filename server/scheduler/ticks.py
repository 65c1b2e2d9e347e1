"""Due slots become rows together with their jobs: two schedulers cannot make two."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import asyncpg
from prometheus_client import Counter

from server.db.session import Database
from server.log import get_logger
from server.queue.asking import Asked, Dispatch, insert
from server.scheduler.rules import Slot, due_slots
from server.scheduler.schedule import TIMETABLE, Entry

log = get_logger(__name__)

SKIPPED = Counter("prosaas_slots_skipped", "Slots that passed and were not made up for.", ["schedule"])

REGISTER = """
INSERT INTO schedule (name, watermark) SELECT name, now() FROM unnest($1::text[]) AS name
ON CONFLICT (name) DO NOTHING
"""
WATERMARKS = "SELECT name, watermark, now() AS now FROM schedule WHERE name = ANY($1::text[]) ORDER BY name"
LOCK = "SELECT watermark, now() AS now FROM schedule WHERE name = $1 FOR UPDATE"
ADVANCE = "UPDATE schedule SET watermark = $2, updated_at = now() WHERE name = $1"
RECORD = """
INSERT INTO schedule_slot (schedule, slot, state, job_id, reason) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (schedule, slot) DO NOTHING RETURNING slot
"""


async def register(database: Database) -> None:
    """Enter new lines of the timetable; their first slot is the next one from now."""
    for entry in TIMETABLE:
        SKIPPED.labels(entry.name)
    async with database.driver() as connection:
        await connection.execute(REGISTER, [entry.name for entry in TIMETABLE])


async def tick(database: Database, zone: ZoneInfo) -> list[Dispatch]:
    """Enqueue what is due, each entry in its own transaction; return the dispatches to announce."""
    async with database.driver() as connection:
        rows = await connection.fetch(WATERMARKS, [entry.name for entry in TIMETABLE])
    seen = {row["name"]: row for row in rows}
    dispatches: list[Dispatch] = []
    for entry in TIMETABLE:
        row = seen.get(entry.name)
        if row and due_slots(entry, after=row["watermark"], until=row["now"], zone=zone):
            async with database.driver_transaction() as connection:
                dispatches += await _enter(connection, entry, zone)
    return dispatches


async def _enter(connection: asyncpg.Connection, entry: Entry, zone: ZoneInfo) -> list[Dispatch]:
    row = await connection.fetchrow(LOCK, entry.name)
    slots = due_slots(entry, after=row["watermark"], until=row["now"], zone=zone)
    dispatches: list[Dispatch] = []
    for slot in slots:
        dispatches += await _record(connection, entry, slot)
    if slots:
        await connection.execute(ADVANCE, entry.name, slots[-1].at)
    return dispatches


async def _record(connection: asyncpg.Connection, entry: Entry, slot: Slot) -> list[Dispatch]:
    if slot.skipped is not None:
        await connection.fetchval(RECORD, entry.name, slot.at, "skipped", None, slot.skipped)
        SKIPPED.labels(entry.name).inc()
        log.warning("slot_skipped", schedule=entry.name, slot=slot.at.isoformat(), reason=slot.skipped)
        return []
    asked = Asked(entry.payload(slot.at), None)
    job_id = asked.row()["id"]
    if await connection.fetchval(RECORD, entry.name, slot.at, "enqueued", job_id, None) is None:
        return []
    return await insert(connection, [asked])
