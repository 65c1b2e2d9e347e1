"""Files of leads: kept as they came, looked at, and started; a job takes their rows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from server.db import Session, text
from server.domains.contacts import sheets
from server.domains.contacts.import_rows import counts_of
from server.errors import BadInputError
from server.queue import Run, enqueue, own_jobs
from server.queue.catalog import LeadImportRows

LONGEST_FILE_NAME = 300
SAMPLE_ROWS = 5
BAD_SHOWN = 50
STOPPED = "stopped"
# How a file stands, as its pages tell it.
IMPORT_STATES = ("uploaded", "waiting", "running", "done", "stopped", "failed", "unreadable")
# Files that can go on where they ended.
RESUMABLE = ("stopped", "failed")
# A loop serves others between so many rows of a file that is looked through.
ROWS_A_TURN = 500

KEEP = """
INSERT INTO lead_import (business_id, file_name, content, mapping, made_by)
VALUES (:business_id, :file_name, :content, cast(:mapping AS jsonb), :made_by) RETURNING id
"""
START = """
UPDATE lead_import SET state = 'running', mapping = cast(:mapping AS jsonb), job_id = :job_id
WHERE id = :id AND state = 'uploaded' RETURNING id
"""
RESUME = """
UPDATE lead_import SET state = 'running', reason = NULL, ended_at = NULL, job_id = :job_id
WHERE id = :id AND state IN ('running', 'done') AND job_id = :before RETURNING id
"""
ONE = """
SELECT id, business_id, file_name, content, mapping, state, reason, job_id FROM lead_import
WHERE id = :id ORDER BY id LIMIT 1
"""
STANDS = "SELECT id, state, reason, job_id FROM lead_import WHERE id = :id ORDER BY id LIMIT 1"
LAST = """
SELECT id, file_name, state, reason, job_id, created_at FROM lead_import WHERE business_id = :business_id
ORDER BY created_at DESC, id LIMIT 20
"""
BAD = """
SELECT line, reason, fields FROM lead_import_row
WHERE import_id = :id AND state = 'bad' AND line > :after ORDER BY line LIMIT :limit
"""
BAD_NAMES = """
SELECT DISTINCT name FROM lead_import_row, jsonb_object_keys(fields) AS name
WHERE import_id = :id AND state = 'bad' ORDER BY name LIMIT :limit
"""
FORGET_ROWS = """
DELETE FROM lead_import_row WHERE id IN (
    SELECT row.id FROM lead_import AS file JOIN lead_import_row AS row ON row.import_id = file.id
    WHERE file.created_at < now() - cast(:days AS int) * interval '1 day' ORDER BY row.id LIMIT :limit)
RETURNING id
"""
FORGET_FILES = """
DELETE FROM lead_import WHERE id IN (
    SELECT id FROM lead_import AS file
    WHERE created_at < now() - cast(:days AS int) * interval '1 day'
      AND NOT EXISTS (SELECT FROM lead_import_row WHERE import_id = file.id) ORDER BY created_at LIMIT :limit)
"""


@dataclass(frozen=True)
class CheckedFile:
    """A file that was looked through: all of it can be read."""

    content: bytes
    mapping: Mapping[str, str]


@dataclass(frozen=True)
class BadRow:
    """A row that was not taken: its line in the file, why, and what it says."""

    line: int
    reason: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Stand:
    """How far a file came: `counts` of its rows by state; `state` is one of IMPORT_STATES."""

    state: str
    reason: str | None
    job_id: str | None
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """Return how many rows there are."""
        return sum(self.counts.values())

    @property
    def left(self) -> int:
        """Return how many of them are still to be taken."""
        return self.counts.get("waiting", 0)


@dataclass(frozen=True)
class Import:
    """A file with how far it came, its first bad rows, and, until it is started, its first rows."""

    id: UUID
    file_name: str
    stand: Stand
    header: Sequence[str]
    sample: Sequence[Sequence[str]]
    mapping: Mapping[str, str]
    bad: Sequence[BadRow]


@dataclass(frozen=True)
class ImportLine:
    """A file in the list of them."""

    id: UUID
    file_name: str
    state: str
    created_at: datetime


async def check_file(content: bytes) -> CheckedFile:
    """Look through a whole file before anything of it is kept; raise BadSheetError where it cannot be."""
    if len(content) > sheets.LARGEST_BYTES:
        raise sheets.BadSheetError("too_large", "The file is over 20 MB.")
    rows = sheets.read_rows(content)
    first = next(rows, (0, []))[1]
    if not first:
        raise sheets.BadSheetError("empty_file", "There is nothing in the file.")
    mapping = sheets.guess(first)
    found = 1 if sheets.FIRST_ROW in mapping else 0
    for _ in rows:
        found += 1
        if found % ROWS_A_TURN == 0:
            await asyncio.sleep(0)
    if not found:
        raise sheets.BadSheetError("only_header", "The file has one row: what its columns are called.")
    return CheckedFile(content, mapping)


async def keep_file(
    session: Session, business_id: int, file: CheckedFile, *, name: str, made_by: str
) -> UUID:
    """Keep a file to be looked at, and started."""
    made = await session.execute(
        text(KEEP),
        {
            "business_id": business_id,
            "file_name": name.replace("\x00", "")[:LONGEST_FILE_NAME],
            "content": file.content,
            "mapping": orjson.dumps(file.mapping).decode(),
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
    job_id = await _ask(session, business_id, import_id)
    told = {"id": import_id, "mapping": orjson.dumps(dict(mapping)).decode(), "job_id": job_id}
    await session.execute(text(START), told)


async def resume_import(session: Session, business_id: int, import_id: UUID) -> None:
    """Let a file that was stopped, or failed, go on where it ended; twice at once is once."""
    stand = await read_stand(session, import_id)
    if stand is None or stand.state not in RESUMABLE or stand.job_id is None:
        return
    job_id = await _ask(session, business_id, import_id, after=stand.job_id)
    await session.execute(text(RESUME), {"id": import_id, "job_id": job_id, "before": stand.job_id})


async def read_stand(session: Session, import_id: UUID) -> Stand | None:
    """Return how far a file came, or None when this transaction's business has no such one."""
    row = (await session.execute(text(STANDS), {"id": import_id})).first()
    if row is None:
        return None
    jobs = await own_jobs.states_of(session, [row.job_id] if row.job_id else [])
    state = stands(row.state, row.reason, jobs.get(row.job_id))
    return Stand(state, row.reason, row.job_id, await counts_of(session, import_id))


async def read_import(session: Session, import_id: UUID) -> Import | None:
    """Return a file with how far it came, or None when this transaction's business has no such one."""
    stand = await read_stand(session, import_id)
    row = (await session.execute(text(ONE), {"id": import_id})).first()
    if stand is None or row is None:
        return None
    header: list[str] = []
    sample: list[list[str]] = []
    if row.content is not None and stand.state == "uploaded":
        header, rows = sheets.open_sheet(bytes(row.content), row.mapping)
        sample = [cells for (_, cells), _ in zip(rows, range(SAMPLE_ROWS), strict=False)]
    bad = await bad_rows(session, import_id, limit=BAD_SHOWN)
    return Import(row.id, row.file_name, stand, header, sample, row.mapping, bad)


async def bad_rows(session: Session, import_id: UUID, *, after: int = 0, limit: int) -> list[BadRow]:
    """Return a file's rows that were not taken, past a line."""
    rows = await session.execute(text(BAD), {"id": import_id, "after": after, "limit": limit})
    return [BadRow(row.line, row.reason or "", row.fields) for row in rows]


async def bad_names(session: Session, import_id: UUID) -> list[str]:
    """Return how the fields of the rows are called that were not taken, ours and the file's own."""
    rows = await session.scalars(text(BAD_NAMES), {"id": import_id, "limit": sheets.MOST_COLUMNS})
    return list(rows)


async def list_imports(session: Session, business_id: int) -> list[ImportLine]:
    """Return a business's last files, the newest first."""
    rows = (await session.execute(text(LAST), {"business_id": business_id})).all()
    jobs = await own_jobs.states_of(session, [row.job_id for row in rows if row.job_id])
    return [
        ImportLine(row.id, row.file_name, stands(row.state, row.reason, jobs.get(row.job_id)), row.created_at)
        for row in rows
    ]


def stands(state: str, reason: str | None, job_state: str | None) -> str:
    """Return how a file stands: its job says that best, as long as it is known.

    A job that was stopped and runs again is told by nothing else until it has its turn.
    """
    if state == "uploaded":
        return state
    match job_state:
        case "ready":
            return "waiting"
        case "running":
            return "running"
        case "cancelled":
            return "stopped"
        case "failed" | "quarantined" | "expired":
            return "failed"
        case _:
            return "stopped" if reason == STOPPED else state


async def forget_imports(run: Run, *, older_than_days: int, limit: int) -> int:
    """Delete files of long ago with their rows; the leads stay. Return how many rows."""
    businesses = await run.every_business()
    if not businesses:
        return 0
    async with run.step(*businesses) as session:
        about = {"days": older_than_days, "limit": limit}
        gone = len((await session.execute(text(FORGET_ROWS), about)).all())
        await session.execute(text(FORGET_FILES), about)
    return gone


async def _ask(session: Session, business_id: int, import_id: UUID, *, after: str | None = None) -> str:
    """Ask for the job: a business's files are taken one after another, a second job after the first ended."""
    return await enqueue(
        session,
        LeadImportRows(import_id),
        business_id=business_id,
        lane=f"import:{business_id}",
        key=f"{import_id} after {after}" if after else None,
    )
