"""Leads: kept from the first message on, moved through the stages, with all that happened to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from server.db import Session, text
from server.domains import integrations
from server.domains.contacts import lead_events, pipeline, queries
from server.domains.contacts.rules import normalise_email, normalise_phone, presentable_name
from server.errors import BadInputError
from server.queue import Changed, Run

LONGEST_NOTE = 10_000
LONGEST_TITLE = 300
LONGEST_CITY = 200
LARGEST_VALUE_MINOR = 10**15
SYSTEM = "system"
# What can happen to a contact, as `record` writes it.
ACTIVITIES = ("created", "stage", "note", "details", "form", "import", "merged", "parted", "consent")

TOUCH = """
WITH touched AS (
    INSERT INTO lead (business_id, contact_id, source, stage_id)
    SELECT contact.business_id, contact.id, :source, (
        SELECT id FROM lead_stage
        WHERE business_id = contact.business_id AND sort = 'open' AND archived_at IS NULL
        ORDER BY place, id LIMIT 1)
    FROM contact WHERE contact.id = :contact_id
    ON CONFLICT (contact_id) DO UPDATE SET last_contact_at = greatest(lead.last_contact_at, now())
    RETURNING id, business_id, contact_id, stage_id, source, xmax = 0 AS is_new
), noted AS (
    INSERT INTO lead_activity (business_id, contact_id, kind, actor, data)
    SELECT business_id, contact_id, 'created', :actor, jsonb_build_object('source', source)
    FROM touched WHERE is_new)
SELECT id, business_id, stage_id, is_new FROM touched
"""
FIND = """
SELECT lead.id, lead.business_id, lead.stage_id, stage.name AS stage FROM lead
LEFT JOIN lead_stage AS stage ON stage.id = lead.stage_id
WHERE lead.contact_id = :contact_id ORDER BY lead.id LIMIT 1 FOR UPDATE OF lead
"""
MOVE = "UPDATE lead SET stage_id = :stage_id, stage_at = now() WHERE contact_id = :contact_id"
ACTIVITY = """
INSERT INTO lead_activity (business_id, contact_id, kind, actor, text, data, key)
SELECT contact.business_id, contact.id, :kind, :actor, :text, cast(:data AS jsonb), :key
FROM contact WHERE contact.id = :contact_id
ON CONFLICT (business_id, key) DO NOTHING RETURNING id
"""
# Those of a lead that a merge took meanwhile are told of the lead that stays.
MOVES = """
SELECT activity.id, activity.position, activity.business_id, activity.contact_id, activity.data,
       lead.id AS lead_id
FROM lead_activity AS activity JOIN lead ON lead.contact_id = activity.contact_id
WHERE activity.kind = 'stage' AND activity.position > :after AND activity.position <= :last
ORDER BY activity.position LIMIT 100
"""
KNOWN_KEY = """
SELECT EXISTS (SELECT FROM lead_activity
               JOIN contact ON contact.business_id = lead_activity.business_id AND contact.id = :contact_id
               WHERE lead_activity.key = :key)
"""
DETAILS = """
SELECT business_id, name, email, told_phone, city FROM contact WHERE id = :contact_id
ORDER BY id LIMIT 1 FOR NO KEY UPDATE
"""
SAVE_DETAILS = """
UPDATE contact SET name = :name, email = :email, told_phone = :told_phone, city = :city WHERE id = :contact_id
"""
COUNTRY = "SELECT country FROM business WHERE id = :business_id ORDER BY id LIMIT 1"
DEAL = """
UPDATE lead SET title = :title, value_minor = :value_minor, currency = :currency
WHERE contact_id = :contact_id RETURNING business_id
"""
TAKE = "UPDATE lead SET owner_id = :user_id WHERE contact_id = :contact_id"
LEAVE = "UPDATE lead SET owner_id = NULL WHERE contact_id = :contact_id AND owner_id = :user_id"


@dataclass(frozen=True)
class LeadKept:
    """A lead as `bring_lead` leaves it."""

    id: UUID
    contact_id: UUID
    stage: str
    is_new: bool


async def touch_lead(session: Session, contact_id: UUID, source: str, *, actor: str = SYSTEM) -> UUID:
    """Make a contact a lead, or note that they were in touch again; return the lead's id."""
    lead_id, _ = await _touch(session, contact_id, source, actor)
    return lead_id


async def bring_lead(
    session: Session,
    contact_id: UUID,
    *,
    source: str,
    actor: str,
    stage: str | None = None,
    note: str | None = None,
    key: str | None = None,
) -> LeadKept:
    """Make a contact a lead or find theirs, move it to a stage (name or id) and add a note.

    `key` names this deed: a second time with it changes nothing. Raises BadInputError `no_such_contact`,
    `no_such_stage`, `bad_note`.
    """
    contact_id = await queries.live_contact(session, contact_id)
    _, is_new = await _touch(session, contact_id, source, actor)
    is_repeated = key is not None and await session.scalar(
        text(KNOWN_KEY), {"contact_id": contact_id, "key": key}
    )
    if not is_repeated:
        if stage is not None:
            await move_lead(session, contact_id, stage, actor=actor)
        if note is not None:
            await add_note(session, contact_id, note, actor=actor, key=key)
        elif key is not None:
            await record(session, contact_id, "details", actor, key=key)
    row = (await session.execute(text(FIND), {"contact_id": contact_id})).one()
    return LeadKept(row.id, contact_id, row.stage or "", is_new)


async def move_lead(session: Session, contact_id: UUID, stage: str | UUID, *, actor: str) -> bool:
    """Move a contact's lead to a stage by id or name; tell whether it was elsewhere.

    Raises BadInputError `no_such_lead` or `no_such_stage`.
    """
    row = (await session.execute(text(FIND), {"contact_id": contact_id})).first()
    if row is None:
        raise BadInputError("no_such_lead", "This contact is no lead.")
    to = await pipeline.find_stage(session, row.business_id, stage)
    if to.id == row.stage_id:
        return False
    await session.execute(text(MOVE), {"contact_id": contact_id, "stage_id": to.id})
    old = row.stage or pipeline.first_of(await pipeline.open_stages(session, row.business_id)).name
    moved = await record(session, contact_id, "stage", actor, data={"from": old, "to": to.name})
    told = lead_events.moved(row.business_id, row.id, contact_id, activity_id=moved, old=old, new=to.name)
    await _emit(session, row.business_id, told)
    return True


async def tell_moves(run: Run, first: int, last: int) -> None:
    """Tell endpoints of the moves among these activities, a slice at a time; what was told is told once."""
    after = first - 1
    while True:
        async with run.step() as session:
            moves = (await session.execute(text(MOVES), {"after": after, "last": last})).all()
            if moves:
                told = [
                    lead_events.moved(
                        move.business_id,
                        move.lead_id,
                        move.contact_id,
                        activity_id=move.id,
                        old=move.data["from"],
                        new=move.data["to"],
                    )
                    for move in moves
                ]
                await integrations.emit_all(session, moves[0].business_id, told)
        if not moves:
            return
        after = moves[-1].position


async def add_note(
    session: Session, contact_id: UUID, note: str, *, actor: str, key: str | None = None
) -> None:
    """Write a note on a lead; a second time with the same key changes nothing. Raises BadInputError."""
    told = note.strip().replace("\x00", "\ufffd")
    if not told or len(told) > LONGEST_NOTE:
        raise BadInputError("bad_note", f"A note has between 1 and {LONGEST_NOTE} characters.")
    await record(session, contact_id, "note", actor, words=told, key=key)


async def save_details(
    session: Session,
    contact_id: UUID,
    *,
    actor: str,
    name: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    city: str | None = None,
) -> dict[str, str | None]:
    """Keep what a contact told of themselves, and return what changed; None leaves it, "" takes it away.

    What was told proves nothing: it becomes no identity, and merges nobody. Raises BadInputError
    `bad_email`, `bad_phone` or `no_such_contact`.
    """
    contact_id = await queries.live_contact(session, contact_id)
    row = (await session.execute(text(DETAILS), {"contact_id": contact_id})).first()
    if row is None:
        raise BadInputError("no_such_contact", "There is no such contact.")
    wished = {"name": name, "email": email, "told_phone": phone, "city": city}
    told = {
        "name": presentable_name(name),
        "email": _email(email),
        "told_phone": await _phone(session, row.business_id, phone),
        "city": " ".join((city or "").split())[:LONGEST_CITY] or None,
    }
    before = {field: getattr(row, field) for field in told}
    changed = {
        field: value for field, value in told.items() if wished[field] is not None and value != before[field]
    }
    if changed:
        await session.execute(text(SAVE_DETAILS), before | changed | {"contact_id": contact_id})
        await record(session, contact_id, "details", actor, data={"fields": sorted(changed)})
    return changed


async def set_deal(
    session: Session,
    contact_id: UUID,
    *,
    title: str | None,
    value_minor: int | None,
    currency: str | None,
    actor: str,
) -> None:
    """Set what a lead is about, and what it is worth in the currency's minor unit.

    Raises BadInputError `no_such_lead` or `bad_value`.
    """
    if value_minor is not None and not 0 <= value_minor <= LARGEST_VALUE_MINOR:
        raise BadInputError("bad_value", "A lead's worth is an amount of money, zero or more.")
    told = {
        "title": " ".join((title or "").split())[:LONGEST_TITLE] or None,
        "value_minor": value_minor,
        "currency": None if value_minor is None else (currency or "ILS").upper(),
    }
    if (await session.execute(text(DEAL), told | {"contact_id": contact_id})).first() is None:
        raise BadInputError("no_such_lead", "This contact is no lead.")
    await record(session, contact_id, "details", actor, data={"fields": ["deal"]})


async def take_lead(session: Session, contact_id: UUID, user_id: UUID) -> None:
    """Make a lead a user's, whoever had it."""
    await session.execute(text(TAKE), {"contact_id": contact_id, "user_id": user_id})


async def leave_lead(session: Session, contact_id: UUID, user_id: UUID) -> None:
    """Let a lead be nobody's where it is this user's; another one's stays theirs."""
    await session.execute(text(LEAVE), {"contact_id": contact_id, "user_id": user_id})


async def record(
    session: Session,
    contact_id: UUID,
    kind: str,
    actor: str,
    *,
    words: str | None = None,
    data: Mapping[str, Any] | None = None,
    key: str | None = None,
) -> UUID | None:
    """Add one thing to what happened to a contact; None where that key is there already."""
    added: UUID | None = await session.scalar(
        text(ACTIVITY),
        {
            "contact_id": contact_id,
            "kind": kind,
            "actor": actor,
            "text": words,
            "data": orjson.dumps(dict(data or {})).decode(),
            "key": key,
        },
    )
    return added


async def _touch(session: Session, contact_id: UUID, source: str, actor: str) -> tuple[UUID, bool]:
    told = {"contact_id": contact_id, "source": source, "actor": actor}
    row = (await session.execute(text(TOUCH), told)).first()
    if row is None:
        raise BadInputError("no_such_contact", "There is no such contact.")
    if row.stage_id is None:
        first = pipeline.first_of(await pipeline.open_stages(session, row.business_id))
        await session.execute(text(MOVE), {"contact_id": contact_id, "stage_id": first.id})
    if row.is_new:
        await _emit(
            session, row.business_id, lead_events.created(row.business_id, row.id, contact_id, source)
        )
        session.outbox.append(Changed(row.business_id, "lead", contact_id))
    return row.id, row.is_new


async def _emit(session: Session, business_id: int, told: integrations.Happening) -> None:
    await integrations.emit(session, business_id, told.type, told.data, key=told.key, subject=told.subject)


def _email(told: str | None) -> str | None:
    if not told:
        return None
    found = normalise_email(told)
    if found is None:
        raise BadInputError("bad_email", "This is no e-mail address.")
    return found


async def _phone(session: Session, business_id: int, told: str | None) -> str | None:
    if not told:
        return None
    country = await session.scalar(text(COUNTRY), {"business_id": business_id})
    found = normalise_phone(told, country)
    if found is None:
        raise BadInputError("bad_phone", "This is no phone number.")
    return found
