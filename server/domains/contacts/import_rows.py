"""Taking a file's rows: a slice at a time, each in a transaction of its own, so that it can end anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row

from server import clock
from server.db import Session, text
from server.domains import integrations
from server.domains.contacts import import_queries, lead_events, pipeline, sheets
from server.domains.contacts.import_plan import Plan, Told, plan, read_row
from server.errors import BadInputError
from server.queue import Changed, Run

# How many rows a slice begins with, and has at most.
SLICE = 100
LARGEST_SLICE = 500
# A slice holds the people it touches, and a customer who is merged meanwhile waits for it: past this time,
# in seconds, the next one has half as many rows, and twice as many where it took a quarter.
SLICE_S = 0.5
READ_AT_ONCE = 2000
# Each lost race means that another transaction committed the name, the merge or the row.
MOST_RACES = 8

BEGIN = """
UPDATE lead_import SET state = 'running', reason = NULL, ended_at = NULL
WHERE id = :id AND (content IS NOT NULL OR EXISTS (
    SELECT FROM lead_import_row WHERE import_id = :id AND state = 'waiting'))
RETURNING business_id, file_name, content, mapping, created_at
"""
COUNTRY = "SELECT country FROM business WHERE id = :business_id ORDER BY id LIMIT 1"
ADD_ROWS = """
INSERT INTO lead_import_row (business_id, import_id, line, fields)
SELECT :business_id, :id, told.line, told.fields
FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS told (line int, fields jsonb)
ON CONFLICT (import_id, line) DO NOTHING
"""
ALL_READ = "UPDATE lead_import SET content = NULL WHERE id = :id"
COUNTS = """
SELECT state, count(*) AS amount FROM lead_import_row WHERE import_id = :id
GROUP BY state ORDER BY state LIMIT 9
"""
# What was stopped before all of it was read can go on.
END = """
UPDATE lead_import SET state = :state, reason = :reason, ended_at = now(),
                       content = CASE WHEN cast(:is_stopped AS boolean) THEN content END
WHERE id = :id AND state IN ('uploaded', 'running')
  AND (cast(:job_id AS text) IS NULL OR coalesce(job_id, :job_id) = :job_id)
"""


@dataclass(frozen=True)
class _File:
    id: UUID
    business_id: int
    name: str
    country: str
    came_at: datetime


async def take_rows(run: Run, import_id: UUID) -> None:
    """Take a file's rows by slices; killed, it goes on where it was, and a second run does nothing."""
    async with run.step() as session:
        begun = (await session.execute(text(BEGIN), {"id": import_id})).first()
        if begun is not None:
            # Made here, where nothing is held yet: whoever makes them lets others wait.
            await pipeline.all_stages(session, begun.business_id)
            country = await session.scalar(text(COUNTRY), {"business_id": begun.business_id})
    if begun is None:
        return
    try:
        await _read_file(run, import_id, begun)
    except BadInputError as error:
        async with run.completing() as session:
            await end_import(session, import_id, error.code, state="unreadable")
        return
    await _take_slices(run, _File(import_id, begun.business_id, begun.file_name, country, begun.created_at))
    async with run.completing() as session:
        await end_import(session, import_id)


async def end_import(
    session: Session, import_id: UUID, reason: str | None = None, *, state: str = "done", job_id: str = ""
) -> None:
    """Note that no more of a file is taken, unless another job than this one is at it by now."""
    is_stopped = state == "done" and reason is not None
    told = {"id": import_id, "state": state, "reason": reason, "is_stopped": is_stopped}
    await session.execute(text(END), told | {"job_id": job_id or None})


async def counts_of(session: Session, import_id: UUID) -> Counter[str]:
    """Return how many rows of a file there are in each state."""
    rows = await session.execute(text(COUNTS), {"id": import_id})
    return Counter({row.state: row.amount for row in rows})


def next_size(size: int, took_s: float) -> int:
    """Return how many rows the next slice has, after one of this size took so long."""
    if took_s > SLICE_S:
        return max(size // 2, 1)
    return min(size * 2, LARGEST_SLICE) if took_s < SLICE_S / 4 else size


async def _read_file(run: Run, import_id: UUID, file: Row[Any]) -> None:
    """Turn the file into rows, a part at a time; the file itself is dropped once all are there."""
    if file.content is None:
        return
    header, rows = sheets.open_sheet(bytes(file.content), file.mapping)
    told: list[dict[str, Any]] = []
    for line, cells in rows:
        told.append({"line": line, "fields": sheets.fields_of(cells, header, file.mapping)})
        if len(told) == READ_AT_ONCE:
            await _add(run, import_id, file.business_id, told)
            told = []
    await _add(run, import_id, file.business_id, told)
    async with run.step() as session:
        await session.execute(text(ALL_READ), {"id": import_id})


async def _add(run: Run, import_id: UUID, business_id: int, told: Sequence[Mapping[str, Any]]) -> None:
    rows = orjson.dumps(list(told)).decode()
    async with run.step() as session:
        await session.execute(text(ADD_ROWS), {"business_id": business_id, "id": import_id, "rows": rows})


async def _take_slices(run: Run, file: _File) -> None:
    async with run.step() as session:
        counts = await counts_of(session, file.id)
    after, size = 0, SLICE
    while True:
        began_at = clock.monotonic_s()
        async with run.step() as session:
            rows = await import_queries.next_rows(session, file.id, after=after, limit=size)
            if not rows:
                return
            told = [read_row(row.id, row.fields, file.country) for row in rows]
            ends = (await _take(session, file, told)).ends
            await import_queries.end_rows(session, ends)
            counts.update(end["state"] for end in ends)
            counts["waiting"] -= len(ends)
            await _tell(run, session, counts)
            session.outbox.append(Changed(file.business_id, "lead", file.id))
        after, size = rows[-1].line, next_size(size, clock.monotonic_s() - began_at)


async def _take(session: Session, file: _File, rows: Sequence[Told]) -> Plan:
    for _ in range(MOST_RACES):
        async with session.begin_nested() as attempt:
            try:
                return await _attempt(session, file, rows)
            except import_queries.RacedError:
                # What it locked and wrote is let go: whoever was first may need it.
                await attempt.rollback()
    raise RuntimeError("the people of this file kept changing under its import")


async def _attempt(session: Session, file: _File, rows: Sequence[Told]) -> Plan:
    stages = await pipeline.open_stages(session, file.business_id)
    good = [row for row in rows if row.fault is None]
    before = await import_queries.told_before(session, file.business_id, good)
    wanted = {row.who for row in good if row.key not in before}
    known = await import_queries.find_people(session, file.business_id, wanted)
    made = plan(rows, known, told_before=before, stages=stages, file_name=file.name)
    if made.people:
        await import_queries.write_people(session, file.business_id, made.people)
        await import_queries.write_activities(session, file.business_id, made.activities)
        if made.consents:
            await import_queries.write_consents(session, file.business_id, made.consents, file.came_at)
        await integrations.emit_all(session, file.business_id, _happened(file.business_id, made))
    return made


def _happened(business_id: int, made: Plan) -> list[integrations.Happening]:
    """Return what others are told: of each lead that it came, before where it went."""
    told = [
        lead_events.created(business_id, one.lead_id, one.id, one.source)
        for one in made.people
        if one.is_new_lead and one.lead_id is not None
    ]
    return told + [
        lead_events.moved(
            business_id,
            move.lead_id,
            move.contact_id,
            activity_id=move.activity_id,
            old=move.old,
            new=move.new,
        )
        for move in made.moves
    ]


async def _tell(run: Run, session: Session, counts: Counter[str]) -> None:
    total, left, bad = counts.total(), counts["waiting"], counts["bad"]
    await run.progress(session, total=total, done=total - left - bad, left=left, bad=bad)
