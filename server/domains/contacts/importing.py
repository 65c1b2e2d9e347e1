"""Leads from a file: kept as it came, then taken by a job that can be killed, cancelled and run again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text

from server import clock
from server.db import Session
from server.domains.contacts import sheets
from server.domains.contacts.form_fields import read_fields
from server.domains.contacts.forms import find_person, keep_lead
from server.domains.contacts.rules import normalise_email, normalise_phone
from server.errors import BadInputError
from server.queue import Run, enqueue
from server.queue.catalog import LeadImportRows

IMPORT = "import"
SLICE = 100
# A slice holds what its rows touch: customers who write meanwhile wait for it, and past 20 s PostgreSQL
# ends it with nothing taken. Where the database is slow a slice has fewer rows.
SLICE_S = 2.0
READ_AT_ONCE = 2000
LONGEST_FILE_NAME = 300
STOPPED = "stopped"
NO_NAMES = "no_names"
BAD_PHONE = "bad_phone"
# Why a row was not taken.
ROW_FAULTS = (NO_NAMES, BAD_PHONE)
IMPORT_STATES = ("uploaded", "running", "done", "unreadable")

KEEP = """
INSERT INTO lead_import (business_id, file_name, content, mapping, made_by)
VALUES (:business_id, :file_name, :content, cast(:mapping AS jsonb), :made_by) RETURNING id
"""
START = """
UPDATE lead_import SET state = 'running', mapping = cast(:mapping AS jsonb), job_id = :job_id
WHERE id = :id AND state = 'uploaded' RETURNING id
"""
ONE = """
SELECT id, business_id, file_name, content, mapping, state, reason, job_id FROM lead_import
WHERE id = :id ORDER BY id LIMIT 1
"""
LAST = """
SELECT id, file_name, state, created_at FROM lead_import WHERE business_id = :business_id
ORDER BY created_at DESC, id LIMIT 20
"""
ADD_ROWS = """
INSERT INTO lead_import_row (business_id, import_id, line, fields)
SELECT :business_id, :id, told.line, told.fields
FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS told (line int, fields jsonb)
ON CONFLICT (import_id, line) DO NOTHING
"""
ALL_READ = "UPDATE lead_import SET content = NULL WHERE id = :id"
NEXT = """
SELECT row.id, row.business_id, row.line, row.fields, file.file_name, business.country
FROM lead_import_row AS row
JOIN lead_import AS file ON file.id = row.import_id
JOIN business ON business.id = row.business_id
WHERE row.import_id = :id AND row.state = 'waiting' ORDER BY row.line LIMIT :limit FOR UPDATE OF row
"""
MARK = "UPDATE lead_import_row SET state = :state, reason = :reason WHERE id = :id"
COUNTS = """
SELECT state, count(*) AS amount FROM lead_import_row WHERE import_id = :id
GROUP BY state ORDER BY state LIMIT 9
"""
BAD = """
SELECT line, reason FROM lead_import_row WHERE import_id = :id AND state = 'bad' ORDER BY line LIMIT 100
"""
END = """
UPDATE lead_import SET state = :state, reason = :reason, content = NULL, ended_at = now()
WHERE id = :id AND state IN ('uploaded', 'running')
"""


@dataclass(frozen=True)
class Import:
    """A file with how far it came: `counts` of its rows by state, and its bad rows (line, reason)."""

    id: UUID
    file_name: str
    state: str
    reason: str | None
    job_id: str | None
    header: Sequence[str]
    sample: Sequence[Sequence[str]]
    mapping: Mapping[str, str]
    counts: Mapping[str, int]
    bad: Sequence[tuple[int, str]]


@dataclass(frozen=True)
class ImportLine:
    """A file in the list of them."""

    id: UUID
    file_name: str
    state: str
    created_at: datetime


async def keep_file(session: Session, business_id: int, *, name: str, content: bytes, made_by: str) -> UUID:
    """Keep a file to be looked at; raise BadInputError `bad_file`, `too_many_rows` or `too_large`."""
    if len(content) > sheets.LARGEST_BYTES:
        raise BadInputError("too_large", "The file is over 20 MB.")
    rows = sheets.read_rows(content)
    header = next(rows, (0, []))[1]
    if not header or next(rows, None) is None:
        raise BadInputError("bad_file", "The file has no rows.")
    made = await session.execute(
        text(KEEP),
        {
            "business_id": business_id,
            "file_name": name.replace("\x00", "")[:LONGEST_FILE_NAME],
            "content": content,
            "mapping": orjson.dumps(sheets.guess(header)).decode(),
            "made_by": made_by,
        },
    )
    kept: UUID = made.scalar_one()
    return kept


async def start_import(
    session: Session, business_id: int, import_id: UUID, mapping: Mapping[str, str]
) -> None:
    """Ask for a file's rows to be taken; starting it twice changes nothing. Raises BadInputError."""
    if not {"phone", "email"} & set(mapping.values()):
        raise BadInputError("bad_mapping", "One column must be the phone or the e-mail address.")
    job_id = await enqueue(session, LeadImportRows(import_id), business_id=business_id)
    told = {"id": import_id, "mapping": orjson.dumps(dict(mapping)).decode(), "job_id": job_id}
    await session.execute(text(START), told)


async def read_import(session: Session, import_id: UUID) -> Import | None:
    """Return a file with how far it came, or None when this transaction's business has no such one."""
    row = (await session.execute(text(ONE), {"id": import_id})).first()
    if row is None:
        return None
    shown: list[list[str]] = []
    if row.content is not None and row.state == "uploaded":
        rows = sheets.read_rows(bytes(row.content))
        shown = [cells for (_, cells), _ in zip(rows, range(6), strict=False)]
    counts = await session.execute(text(COUNTS), {"id": import_id})
    bad = await session.execute(text(BAD), {"id": import_id})
    return Import(
        id=row.id,
        file_name=row.file_name,
        state=row.state,
        reason=row.reason,
        job_id=row.job_id,
        header=shown[0] if shown else [],
        sample=shown[1:],
        mapping=row.mapping,
        counts={one.state: one.amount for one in counts},
        bad=[(one.line, one.reason or "") for one in bad],
    )


async def list_imports(session: Session, business_id: int) -> list[ImportLine]:
    """Return a business's last files, the newest first."""
    rows = await session.execute(text(LAST), {"business_id": business_id})
    return [ImportLine(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


async def take_rows(run: Run, import_id: UUID) -> None:
    """Take a file's rows by slices; killed, it goes on where it was, and a second run does nothing."""
    await _read_file(run, import_id)
    while True:
        async with run.step() as session:
            rows = (await session.execute(text(NEXT), {"id": import_id, "limit": SLICE})).all()
            ends_at = clock.monotonic_s() + SLICE_S
            for row in rows:
                state, reason = await _take(session, row)
                await session.execute(text(MARK), {"id": row.id, "state": state, "reason": reason})
                if clock.monotonic_s() >= ends_at:
                    break
            await _tell(run, session, import_id)
        if not rows:
            break
    async with run.completing() as session:
        await end_import(session, import_id)


async def end_import(session: Session, import_id: UUID, reason: str | None = None) -> None:
    """Note that no more of a file will be taken."""
    await session.execute(text(END), {"id": import_id, "state": "done", "reason": reason})


async def _read_file(run: Run, import_id: UUID) -> None:
    """Turn the file into rows; the file itself is dropped once all are there."""
    async with run.step() as session:
        file = (await session.execute(text(ONE), {"id": import_id})).first()
        if file is None or file.content is None:
            return
        rows = sheets.read_rows(bytes(file.content))
        header = next(rows)[1]
        told: list[dict[str, Any]] = []
        for line, cells in rows:
            told.append({"line": line, "fields": sheets.fields_of(cells, header, file.mapping)})
            if len(told) == READ_AT_ONCE:
                await _add(session, file, told)
                told = []
        await _add(session, file, told)
        await session.execute(text(ALL_READ), {"id": import_id})


async def _add(session: Session, file: Row[Any], told: Sequence[Mapping[str, Any]]) -> None:
    await session.execute(
        text(ADD_ROWS),
        {"business_id": file.business_id, "id": file.id, "rows": orjson.dumps(list(told)).decode()},
    )


async def _take(session: Session, row: Row[Any]) -> tuple[str, str | None]:
    written = read_fields(row.fields)
    if not written.phone and not written.email:
        return "bad", NO_NAMES
    if not normalise_email(written.email) and not normalise_phone(written.phone, row.country):
        return "bad", BAD_PHONE
    contact_id = await find_person(session, row.business_id, written, row.country)
    if contact_id is None:
        return "bad", NO_NAMES
    # The same row of another file, or of this one once more, says nothing new.
    digest = hashlib.sha256(orjson.dumps(row.fields, option=orjson.OPT_SORT_KEYS)).hexdigest()
    is_new = await keep_lead(
        session, contact_id, written, kind=IMPORT, title=row.file_name, key=f"import:{digest}"
    )
    return ("added", None) if is_new else ("known", None)


async def _tell(run: Run, session: Session, import_id: UUID) -> None:
    counted = await session.execute(text(COUNTS), {"id": import_id})
    counts = {row.state: row.amount for row in counted}
    total, left, bad = sum(counts.values()), counts.get("waiting", 0), counts.get("bad", 0)
    if total:
        await run.progress(session, total=total, done=total - left - bad, left=left, bad=bad)
