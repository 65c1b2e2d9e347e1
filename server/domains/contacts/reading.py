"""What pages and the assistant read of people and leads; read only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from server.db import Session, text
from server.domains.contacts import queries
from server.domains.contacts.pipeline import first_of, open_stages

LONGEST_SEARCH = 100
ACTIVITIES = 200

_LEAD = """
SELECT lead.id AS lead_id, contact.id AS contact_id,
       contact.name, contact.email, contact.told_phone, contact.city,
       phone.value AS phone, lead.stage_id, stage.name AS stage, stage.sort, stage.colour, lead.title,
       lead.value_minor, lead.currency, lead.owner_id, lead.source, lead.last_contact_at, lead.created_at
FROM lead
JOIN contact ON contact.id = lead.contact_id
LEFT JOIN lead_stage AS stage ON stage.id = lead.stage_id
LEFT JOIN LATERAL (
    SELECT value FROM contact_identity
    WHERE contact_id = contact.id AND kind = 'phone' ORDER BY created_at, value LIMIT 1) AS phone ON true
"""
_FOUND = """
(cast(:like AS text) IS NULL OR contact.name ILIKE :like OR contact.email ILIKE :like
 OR lead.title ILIKE :like OR contact.told_phone LIKE :like OR EXISTS (
    SELECT FROM contact_identity AS name WHERE name.contact_id = contact.id AND name.value ILIKE :like))
"""
# A lead from before there were stages is in the first one.
LIST = f"""{_LEAD}
WHERE lead.business_id = :business_id
  AND (cast(:stage_id AS uuid) IS NULL OR lead.stage_id = :stage_id
       OR lead.stage_id IS NULL AND :stage_id = (
           SELECT id FROM lead_stage
           WHERE business_id = :business_id AND sort = 'open' AND archived_at IS NULL
           ORDER BY place, id LIMIT 1))
  AND {_FOUND}
ORDER BY lead.last_contact_at DESC, lead.id LIMIT :limit OFFSET :offset
"""  # noqa: S608 -- composed of constants
ONE = f"{_LEAD} WHERE lead.contact_id = :contact_id ORDER BY lead.id LIMIT 1"
EXPORT = f"""{_LEAD}
WHERE lead.business_id = :business_id AND (cast(:after AS uuid) IS NULL OR lead.id > :after)
ORDER BY lead.id LIMIT :limit
"""
COUNTS = """
SELECT stage_id, count(*) AS amount FROM lead WHERE business_id = :business_id
GROUP BY stage_id ORDER BY stage_id LIMIT 200
"""
CONTACT = """
SELECT id, business_id, name, email, told_phone, city FROM contact WHERE id = :contact_id ORDER BY id LIMIT 1
"""
IDENTITIES = """
SELECT kind, value FROM contact_identity WHERE contact_id = :contact_id
ORDER BY created_at, kind, value LIMIT 50
"""
HAPPENED = """
SELECT kind, actor, text, data, at FROM lead_activity WHERE contact_id = :contact_id
ORDER BY position DESC LIMIT :limit
"""
CONSENTS = """
SELECT consent.value, consent.wording, consent.source, consent.at FROM consent
LEFT JOIN contact_merge AS merge ON merge.id = consent.merge_id
WHERE consent.contact_id = :contact_id AND merge.undone_at IS NULL
ORDER BY consent.at DESC, consent.position DESC LIMIT 20
"""
MERGES = """
SELECT id, kept #>> '{contact,name}' AS name, reason, made_by, made_at, undone_at FROM contact_merge
WHERE survivor_id = :contact_id ORDER BY made_at DESC LIMIT 20
"""
CONVERSATIONS = """
SELECT conversation.id, channel.kind, conversation.last_message_at FROM conversation
JOIN channel ON channel.id = conversation.channel_id
WHERE conversation.contact_id = :contact_id
ORDER BY conversation.last_message_at DESC, conversation.id LIMIT 20
"""
DESCRIBED = """
SELECT contact.name, contact.email, contact.told_phone, contact.city, stage.name AS stage, lead.title,
       ARRAY(SELECT text FROM lead_activity
             WHERE contact_id = contact.id AND kind = 'note' ORDER BY position DESC LIMIT 5) AS notes
FROM contact
LEFT JOIN lead ON lead.contact_id = contact.id
LEFT JOIN lead_stage AS stage ON stage.id = lead.stage_id
WHERE contact.id = live_contact(:contact_id) ORDER BY contact.id LIMIT 1
"""


@dataclass(frozen=True)
class LeadRow:
    """A lead with its contact, as lists show it; amounts in the currency's minor unit."""

    lead_id: UUID
    contact_id: UUID
    name: str | None
    email: str | None
    told_phone: str | None
    city: str | None
    phone: str | None
    stage_id: UUID | None
    stage: str | None
    sort: str | None
    colour: str | None
    title: str | None
    value_minor: int | None
    currency: str | None
    owner_id: UUID | None
    source: str
    last_contact_at: datetime
    created_at: datetime


@dataclass(frozen=True)
class Person:
    """All that is known of one contact; `lead` is None for who is none. Rows are mappings, newest first."""

    contact_id: UUID
    name: str | None
    email: str | None
    told_phone: str | None
    city: str | None
    lead: LeadRow | None
    identities: Sequence[tuple[str, str]]
    activities: Sequence[Mapping[str, Any]]
    consents: Sequence[Mapping[str, Any]]
    merges: Sequence[Mapping[str, Any]]
    conversations: Sequence[Mapping[str, Any]]


async def list_leads(
    session: Session,
    business_id: int,
    *,
    search: str = "",
    stage_id: UUID | None = None,
    limit: int,
    offset: int = 0,
) -> list[LeadRow]:
    """Return leads, the one that was in touch last first; `search` is part of a name, phone or address."""
    rows = await session.execute(
        text(LIST),
        {
            "business_id": business_id,
            "stage_id": stage_id,
            "like": pattern_of(search),
            "limit": limit,
            "offset": offset,
        },
    )
    return [LeadRow(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


async def export_leads(
    session: Session, business_id: int, *, after: UUID | None, limit: int
) -> tuple[list[LeadRow], UUID | None]:
    """Return leads in one fixed order, and the last one's id: the next come `after` it."""
    rows = await session.execute(text(EXPORT), {"business_id": business_id, "after": after, "limit": limit})
    found = [LeadRow(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name
    return found, found[-1].lead_id if found else after


async def count_leads(session: Session, business_id: int) -> dict[UUID, int]:
    """Return how many leads are in each stage; those that have none yet are in the first."""
    first = first_of(await open_stages(session, business_id))
    amounts: dict[UUID, int] = {}
    for row in await session.execute(text(COUNTS), {"business_id": business_id}):
        stage_id = row.stage_id or first.id
        amounts[stage_id] = amounts.get(stage_id, 0) + row.amount
    return amounts


async def read_person(session: Session, contact_id: UUID) -> Person | None:
    """Return all that is known of a contact, or None when this transaction's business has no such one."""
    contact_id = await queries.live_contact(session, contact_id)
    about = {"contact_id": contact_id, "limit": ACTIVITIES}
    contact = (await session.execute(text(CONTACT), about)).first()
    if contact is None:
        return None
    lead = (await session.execute(text(ONE), about)).first()
    return Person(
        contact_id=contact_id,
        name=contact.name,
        email=contact.email,
        told_phone=contact.told_phone,
        city=contact.city,
        lead=None if lead is None else LeadRow(**lead._mapping),  # noqa: SLF001 -- SQLAlchemy's public name
        identities=[(row.kind, row.value) for row in await session.execute(text(IDENTITIES), about)],
        activities=await _mappings(session, HAPPENED, about),
        consents=await _mappings(session, CONSENTS, about),
        merges=await _mappings(session, MERGES, about),
        conversations=await _mappings(session, CONVERSATIONS, about),
    )


async def describe(session: Session, contact_id: UUID) -> list[str]:
    """Return what is known of a contact, a line each, for whoever answers them; unknown is left out."""
    found = (await session.execute(text(DESCRIBED), {"contact_id": contact_id})).first()
    if found is None:
        return []
    told = {
        "Name": found.name,
        "E-mail": found.email,
        "Phone they gave": found.told_phone,
        "City": found.city,
        "Stage": found.stage,
        "Interested in": found.title,
    }
    known = [f"{name}: {value}" for name, value in told.items() if value]
    return known + [f"Note: {note}" for note in found.notes]


def pattern_of(search: str) -> str | None:
    """Return a LIKE pattern that finds what was searched for, word for word; None finds all."""
    told = " ".join(search.replace("\x00", "").split())[:LONGEST_SEARCH]
    escaped = told.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%" if told else None


async def _mappings(session: Session, query: str, about: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [dict(row._mapping) for row in await session.execute(text(query), about)]  # noqa: SLF001 -- the same
