"""Contacts that may be one person: shown to people, who decide; nothing is merged by what was only told."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from server.db import Session, text
from server.domains.contacts import queries
from server.domains.contacts.merging import merge, survivor_of
from server.domains.contacts.models import Contact
from server.domains.contacts.parting import say_distinct
from server.errors import BadInputError

BY_HAND = "a person said that they are one"
# What two contacts can have alike.
ALIKE = ("email", "phone", "username")

SUGGESTED = """
WITH mine AS (
    SELECT id, business_id, lower(name) AS name, email, told_phone, username
    FROM contact WHERE id = :contact_id),
found AS (
    SELECT other.id, 'email' AS why FROM mine JOIN contact AS other
      ON other.business_id = mine.business_id AND other.email = mine.email
    UNION ALL
    SELECT other.id, 'phone' FROM mine JOIN contact AS other
      ON other.business_id = mine.business_id AND other.told_phone = mine.told_phone
    UNION ALL
    SELECT name.contact_id, name.kind FROM mine JOIN contact_identity AS name
      ON name.business_id = mine.business_id
     AND (name.kind, name.value) IN (('email', mine.email), ('phone', mine.told_phone))
    UNION ALL
    SELECT other.id, name.kind FROM mine
    JOIN contact_identity AS name ON name.contact_id = mine.id AND name.kind IN ('email', 'phone')
    JOIN contact AS other ON other.business_id = mine.business_id
     AND (name.kind = 'phone' AND other.told_phone = name.value
          OR name.kind = 'email' AND other.email = name.value)
    UNION ALL
    SELECT other.id, 'username' FROM mine JOIN contact AS other
      ON other.business_id = mine.business_id AND other.username = mine.username
     AND lower(other.name) = mine.name)
SELECT other.id, other.name, min(found.why) AS why,
       (SELECT value FROM contact_identity
        WHERE contact_id = other.id AND kind = 'phone' ORDER BY created_at, value LIMIT 1) AS phone
FROM found JOIN contact AS other ON other.id = found.id
WHERE other.id <> :contact_id AND NOT EXISTS (
    SELECT FROM contact_distinct
    WHERE one_id = least(other.id, cast(:contact_id AS uuid))
      AND other_id = greatest(other.id, cast(:contact_id AS uuid)))
GROUP BY other.id, other.name ORDER BY other.id LIMIT 10
"""
WITH_PHONE = """
SELECT contact_id FROM contact_identity
WHERE contact_id = ANY (cast(:ids AS uuid[])) AND kind = 'phone' ORDER BY created_at, value LIMIT 1
"""


@dataclass(frozen=True)
class Suggestion:
    """A contact that may be the same person; `why` is one of ALIKE."""

    id: UUID
    name: str | None
    why: str
    phone: str | None


async def suggestions(session: Session, contact_id: UUID) -> list[Suggestion]:
    """Return which other contacts were told the same address, phone, or name and username."""
    rows = await session.execute(text(SUGGESTED), {"contact_id": contact_id})
    return [Suggestion(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


async def accept(session: Session, one: UUID, other: UUID, *, by: str) -> UUID:
    """Merge two contacts because a person said so; return the one that stays.

    Raises BadInputError `no_such_contact` where one of them is gone.
    """
    locked = await _both(session, one, other)
    with_phone = await session.scalar(text(WITH_PHONE), {"ids": [one, other]})
    survivor = survivor_of(locked, with_phone)
    [loser] = [contact for contact in locked if contact.id != survivor.id]
    await merge(session, survivor, loser, reason=BY_HAND, made_by=by)
    return survivor.id


async def dismiss(session: Session, business_id: int, one: UUID, other: UUID, *, by: str) -> None:
    """Note that two contacts are not one person, so that it is not suggested again.

    Raises BadInputError `no_such_contact` where one of them is gone.
    """
    await _both(session, one, other)
    await say_distinct(session, business_id, one, other, by=by)


async def _both(session: Session, one: UUID, other: UUID) -> list[Contact]:
    locked = await queries.lock_contacts(session, [one, other])
    if len(locked) != len((one, other)) or one == other:
        raise BadInputError("no_such_contact", "One of these contacts is not there any more.")
    return locked
