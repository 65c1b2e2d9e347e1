"""The SQL of taking a slice of a file: one statement for all its rows, never one a row.

Locks are taken as everybody takes them (decision 23): contacts, then leads, each by id. Where somebody
else made or merged one of them meanwhile, `RacedError` says to begin the slice again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import orjson
from sqlalchemy import Row

from server.db import Session, text
from server.domains.contacts.consenting import standing_of
from server.domains.contacts.import_plan import IMPORT, Someone, Told

Who: TypeAlias = tuple[str, str]

NEXT = """
SELECT row.id, row.line, row.fields FROM lead_import_row AS row
WHERE row.import_id = :id AND row.state = 'waiting' AND row.line > :after
ORDER BY row.line LIMIT :limit FOR UPDATE OF row
"""
TOLD_BEFORE = """
SELECT key FROM lead_activity WHERE business_id = :business_id AND key = ANY (cast(:keys AS text[]))
ORDER BY key LIMIT :limit
"""
# Nobody else makes a contact of one of these addresses meanwhile; a form asks for the same lock.
LOCK_ADDRESSES = """
SELECT pg_advisory_xact_lock(hashtextextended(told.what, 7)) FROM (
    SELECT what FROM unnest(cast(:what AS text[])) AS one (what)
    ORDER BY hashtextextended(what, 7) LIMIT :limit) AS told
"""
# Whoever was merged or parted while this waited for them is not held.
PEOPLE = """
WITH owner AS MATERIALIZED (
    SELECT 'phone' AS kind, told.value, contact.id, contact.revision
    FROM unnest(cast(:phones AS text[])) AS told (value)
    JOIN contact_identity AS identity ON identity.business_id = :business_id
     AND identity.kind = 'phone' AND identity.value = told.value
    JOIN contact ON contact.id = identity.contact_id
    UNION ALL
    SELECT 'email', told.value, theirs.id, theirs.revision
    FROM unnest(cast(:emails AS text[])) AS told (value)
    CROSS JOIN LATERAL (
        SELECT id, revision FROM contact
        WHERE id = coalesce(
            (SELECT contact_id FROM contact_identity
             WHERE business_id = :business_id AND kind = 'email' AND value = told.value ORDER BY id LIMIT 1),
            (SELECT id FROM contact WHERE business_id = :business_id AND email = told.value
             ORDER BY created_at, id LIMIT 1))
        ORDER BY id LIMIT 1) AS theirs),
held AS MATERIALIZED (
    SELECT id, revision, name, email, city FROM contact
    WHERE id = ANY (SELECT id FROM owner) ORDER BY id FOR NO KEY UPDATE)
SELECT owner.kind, owner.value, owner.id, coalesce(held.revision = owner.revision, false) AS is_held,
       held.name, held.email, held.city
FROM owner LEFT JOIN held ON held.id = owner.id ORDER BY owner.kind, owner.value LIMIT :limit
"""
LEADS = """
SELECT lead.id, lead.contact_id, lead.stage_id, stage.name AS stage FROM lead
LEFT JOIN lead_stage AS stage ON stage.id = lead.stage_id
WHERE lead.contact_id = ANY (cast(:ids AS uuid[])) ORDER BY lead.id LIMIT :limit FOR UPDATE OF lead
"""
# As of when the file came: who says otherwise since then is right.
ADD_CONSENTS = """
INSERT INTO consent (business_id, contact_id, purpose, value, wording, source, key, at)
SELECT :business_id, told.contact_id, 'marketing', told.value, told.wording, :source, told.key, :at
FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS told (contact_id uuid, value text, wording text, key text)
ON CONFLICT (business_id, key) DO NOTHING
"""
ADD_CONTACTS = """
INSERT INTO contact (id, business_id, name, email, city)
SELECT told.id, :business_id, told.name, told.email, told.city
FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS told (id uuid, name text, email text, city text)
"""
# In one order, so that two of these never wait for each other.
ADD_PHONES = """
INSERT INTO contact_identity (business_id, contact_id, kind, value)
SELECT :business_id, told.id, 'phone', told.phone
FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS told (id uuid, phone text)
WHERE told.phone IS NOT NULL ORDER BY told.phone
ON CONFLICT (business_id, kind, value) DO NOTHING RETURNING id
"""
ADD_ADDRESSES = """
INSERT INTO contact_identity (business_id, contact_id, kind, value)
SELECT :business_id, told.id, 'email', told.email
FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS told (id uuid, email text)
WHERE told.email IS NOT NULL ORDER BY told.email
ON CONFLICT (business_id, kind, value) DO NOTHING
"""
FILL_CONTACTS = """
UPDATE contact SET name = told.name, email = told.email, city = told.city
FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS told (id uuid, name text, email text, city text)
WHERE contact.id = told.id
"""
ADD_LEADS = """
INSERT INTO lead (id, business_id, contact_id, source, stage_id)
SELECT told.lead_id, :business_id, told.id, told.source, told.stage_id
FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS told (id uuid, lead_id uuid, source text, stage_id uuid)
ORDER BY told.id ON CONFLICT (contact_id) DO NOTHING RETURNING id
"""
TOUCH_LEADS = """
UPDATE lead SET last_contact_at = greatest(lead.last_contact_at, now()), stage_id = told.stage_id,
                stage_at = CASE WHEN told.is_moved THEN now() ELSE lead.stage_at END
FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS told (lead_id uuid, stage_id uuid, is_moved boolean)
WHERE lead.id = told.lead_id
"""
ADD_ACTIVITIES = """
INSERT INTO lead_activity (id, business_id, contact_id, kind, actor, text, data, key)
SELECT told.id, :business_id, told.contact_id, told.kind, :actor, told.text, told.data, told.key
FROM ROWS FROM (jsonb_to_recordset(cast(:rows AS jsonb)) AS (
    id uuid, contact_id uuid, kind text, text text, data jsonb, key text)) WITH ORDINALITY
    AS told (id, contact_id, kind, text, data, key, place)
ORDER BY told.place ON CONFLICT (business_id, key) DO NOTHING RETURNING id
"""
END_ROWS = """
UPDATE lead_import_row AS row SET state = told.state, reason = told.reason
FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS told (id uuid, state text, reason text)
WHERE row.id = told.id
"""


class RacedError(Exception):
    """Somebody else made, merged or told the same at this moment: begin again."""


async def next_rows(session: Session, import_id: UUID, *, after: int, limit: int) -> Sequence[Row[Any]]:
    """Take hold of the next rows that wait, past a line."""
    told = {"id": import_id, "after": after, "limit": limit}
    return (await session.execute(text(NEXT), told)).all()


async def told_before(session: Session, business_id: int, rows: Sequence[Told]) -> set[str]:
    """Return those rows' keys that were taken already."""
    keys = [row.key for row in rows]
    about = {"business_id": business_id, "keys": keys, "limit": len(keys)}
    return set(await session.scalars(text(TOLD_BEFORE), about))


async def find_people(session: Session, business_id: int, wanted: Iterable[Who]) -> dict[Who, Someone]:
    """Return those who have these phones and addresses, with their leads and what they agreed to, held.

    Raises RacedError where one of them changed meanwhile.
    """
    phones, emails = _sorted(wanted, "phone"), _sorted(wanted, "email")
    if emails:
        what = [f"{business_id} {email}" for email in emails]
        await session.execute(text(LOCK_ADDRESSES), {"what": what, "limit": len(what)})
    about = {"business_id": business_id, "phones": phones, "emails": emails}
    limit = len(phones) + len(emails)
    rows = (await session.execute(text(PEOPLE), about | {"limit": limit})).all()
    if not all(row.is_held for row in rows):
        raise RacedError
    people = {row.id: Someone(row.id, row.name, row.email, row.city) for row in rows}
    leads = await session.execute(text(LEADS), {"ids": list(people), "limit": limit})
    for lead in leads:
        one = people[lead.contact_id]
        one.lead_id, one.stage_id, one.stage = lead.id, lead.stage_id, lead.stage
    for contact_id, standing in (await standing_of(session, list(people))).items():
        people[contact_id].consent = standing.value
    return {(row.kind, row.value): people[row.id] for row in rows}


async def write_people(session: Session, business_id: int, people: Sequence[Someone]) -> None:
    """Write contacts and leads, new and known; raise RacedError where somebody made one of them meanwhile."""
    new = [one for one in people if one.is_new]
    about = {"business_id": business_id}
    contacts = _rows(new, "id", "name", "email", "city", "phone")
    await session.execute(text(ADD_CONTACTS), about | {"rows": contacts})
    named = await session.execute(text(ADD_PHONES), about | {"rows": contacts})
    if len(named.all()) < sum(one.phone is not None for one in new):
        raise RacedError
    await session.execute(text(ADD_ADDRESSES), about | {"rows": contacts})
    filled = [one for one in people if one.is_filled and not one.is_new]
    if filled:
        await session.execute(text(FILL_CONTACTS), {"rows": _rows(filled, "id", "name", "email", "city")})
    leads = [one for one in people if one.is_new_lead]
    rows = _rows(leads, "id", "lead_id", "source", "stage_id")
    if len((await session.execute(text(ADD_LEADS), about | {"rows": rows})).all()) < len(leads):
        raise RacedError
    touched = [one for one in people if not one.is_new_lead]
    if touched:
        await session.execute(text(TOUCH_LEADS), {"rows": _rows(touched, "lead_id", "stage_id", "is_moved")})


async def write_activities(session: Session, business_id: int, told: Sequence[dict[str, Any]]) -> None:
    """Write what happened, in order; raise RacedError where another import told the same meanwhile."""
    about = {"business_id": business_id, "actor": IMPORT, "rows": _json(told)}
    if len((await session.execute(text(ADD_ACTIVITIES), about)).all()) < len(told):
        raise RacedError


async def write_consents(
    session: Session, business_id: int, told: Sequence[dict[str, Any]], at: datetime
) -> None:
    """Add to the ledger what the file says of marketing, as of this moment."""
    about = {"business_id": business_id, "source": IMPORT, "at": at, "rows": _json(told)}
    await session.execute(text(ADD_CONSENTS), about)


async def end_rows(session: Session, ends: Sequence[dict[str, Any]]) -> None:
    """Note what became of each row."""
    await session.execute(text(END_ROWS), {"rows": _json(ends)})


def _sorted(wanted: Iterable[Who], kind: str) -> list[str]:
    return sorted({value for one, value in wanted if one == kind})


def _rows(people: Sequence[Someone], *names: str) -> str:
    return _json([{name: getattr(one, name) for name in names} for one in people])


def _json(rows: Sequence[dict[str, Any]]) -> str:
    # The driver's own kind of UUID is none that the library knows.
    return orjson.dumps(rows, default=str).decode()
