"""Files of leads: kept as they came, looked at, and started; a job takes their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy import text

from server.db import Session
from server.domains.contacts import sheets
from server.domains.contacts.import_rows import counts_of
from server.errors import BadInputError
from server.queue import enqueue
from server.queue.catalog import LeadImportRows

LONGEST_FILE_NAME = 300
STOPPED = "stopped"
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
BAD = """
SELECT line, reason FROM lead_import_row WHERE import_id = :id AND state = 'bad' ORDER BY line LIMIT 100
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
    job_id = await enqueue(
        session, LeadImportRows(import_id), business_id=business_id, lane=f"import:{business_id}"
    )
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
    counts = await counts_of(session, import_id)
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
        counts=counts,
        bad=[(one.line, one.reason or "") for one in bad],
    )


async def list_imports(session: Session, business_id: int) -> list[ImportLine]:
    """Return a business's last files, the newest first."""
    rows = await session.execute(text(LAST), {"business_id": business_id})
    return [ImportLine(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name
