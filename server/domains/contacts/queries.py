"""The SQL of recognising people; only rows that the transaction may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update

from server.db import Session, text
from server.domains.contacts.models import Contact
from server.ports import IdentityKind

# One owner is held against being merged until the transaction ends; of several none is, so that whoever
# merges them locks them in order. A contact that was merged or parted while this waited is not held.
OWNERS = """
WITH owner AS MATERIALIZED (
    SELECT identity.kind, contact.id, contact.revision
    FROM unnest(cast(:kinds AS text[]), cast(:values AS text[])) AS told (kind, value)
    JOIN contact_identity AS identity ON identity.business_id = :business_id
     AND identity.kind = told.kind AND identity.value = told.value
    JOIN contact ON contact.id = identity.contact_id),
held AS MATERIALIZED (
    SELECT id, revision FROM contact
    WHERE id = ANY (SELECT id FROM owner) AND (SELECT count(DISTINCT id) FROM owner) = 1
    FOR KEY SHARE)
SELECT owner.kind, owner.id, coalesce(held.revision = owner.revision, false) AS is_held
FROM owner LEFT JOIN held ON held.id = owner.id ORDER BY owner.kind LIMIT 10
"""
# Both have a name that is known, and all that are known are one contact's. Nobody is held.
ARE_ONE = """
SELECT count(DISTINCT identity.contact_id) = 1 AND count(DISTINCT told.side) = 2 AS are_one
FROM (SELECT 1 AS side, * FROM unnest(cast(:kinds AS text[]), cast(:values AS text[])) AS one (kind, value)
      UNION ALL
      SELECT 2, * FROM unnest(cast(:other_kinds AS text[]), cast(:other_values AS text[]))) AS told
JOIN contact_identity AS identity ON identity.business_id = :business_id
 AND identity.kind = told.kind AND identity.value = told.value
"""
# Owners that nobody said to be two become one.
LEADS_TO = """
SELECT coalesce(bool_or(identity.contact_id = :contact_id) AND NOT bool_or(EXISTS (
    SELECT FROM contact_distinct
    WHERE one_id = least(identity.contact_id, cast(:contact_id AS uuid))
      AND other_id = greatest(identity.contact_id, cast(:contact_id AS uuid)))), false) AS leads_to
FROM unnest(cast(:kinds AS text[]), cast(:values AS text[])) AS told (kind, value)
JOIN contact_identity AS identity ON identity.business_id = :business_id
 AND identity.kind = told.kind AND identity.value = told.value
"""
INSERT_CONTACT = "INSERT INTO contact (business_id, name) VALUES (:business_id, :name) RETURNING id"
DELETE_CONTACT = "DELETE FROM contact WHERE id = :id"
ATTACH = """
INSERT INTO contact_identity (business_id, contact_id, kind, value)
SELECT :business_id, :contact_id, told.kind, told.value
FROM unnest(cast(:kinds AS text[]), cast(:values AS text[])) WITH ORDINALITY AS told (kind, value, place)
ORDER BY told.place
ON CONFLICT (business_id, kind, value) DO NOTHING RETURNING id
"""
# Whoever has a username and no other name has nothing that it could be confused with.
BY_USERNAME = """
SELECT identity.contact_id AS id, EXISTS (
    SELECT FROM contact_identity AS other
    WHERE other.contact_id = identity.contact_id
      AND other.kind NOT IN ('username', 'email')) AS has_proof
FROM contact_identity AS identity
WHERE identity.business_id = :business_id AND identity.kind = 'username' AND identity.value = :username
ORDER BY identity.id LIMIT 1
"""
TAKE_USERNAME = """
INSERT INTO contact_identity (business_id, contact_id, kind, value)
VALUES (:business_id, :contact_id, 'username', :username)
ON CONFLICT (business_id, kind, value) DO UPDATE SET contact_id = excluded.contact_id, created_at = now()
"""
GIVE_UP_USERNAMES = """
DELETE FROM contact_identity WHERE contact_id = :contact_id AND kind = 'username' AND value <> :username
"""


@dataclass(frozen=True)
class Owners:
    """Whose some names are, by kind; `is_held` when it is one contact that cannot be merged meanwhile."""

    of: Mapping[IdentityKind, UUID]
    is_held: bool


async def find_owners(session: Session, business_id: int, names: Mapping[IdentityKind, str]) -> Owners:
    """Return whose each of these names is, for those that are known."""
    rows = await session.execute(
        text(OWNERS),
        {
            "business_id": business_id,
            "kinds": [kind.value for kind in names],
            "values": list(names.values()),
        },
    )
    found = rows.all()
    return Owners({IdentityKind(row.kind): row.id for row in found}, all(row.is_held for row in found))


async def are_one(
    session: Session,
    business_id: int,
    one: Mapping[IdentityKind, str],
    other: Mapping[IdentityKind, str],
) -> bool:
    """Tell whether two people's names are known, and are one contact's."""
    names = {
        "business_id": business_id,
        "kinds": [kind.value for kind in one],
        "values": list(one.values()),
        "other_kinds": [kind.value for kind in other],
        "other_values": list(other.values()),
    }
    return bool(await session.scalar(text(ARE_ONE), names))


async def leads_to(
    session: Session, business_id: int, names: Mapping[IdentityKind, str], contact_id: UUID
) -> bool:
    """Tell whether one of these names is a contact's, and none is somebody's who is known not to be it."""
    told = {
        "business_id": business_id,
        "kinds": [kind.value for kind in names],
        "values": list(names.values()),
        "contact_id": contact_id,
    }
    return bool(await session.scalar(text(LEADS_TO), told))


async def lock_contacts(session: Session, contact_ids: Sequence[UUID]) -> list[Contact]:
    """Let no one else change these contacts or write for them; those that are still there, in their order."""
    rows = await session.scalars(
        select(Contact)
        .where(Contact.id.in_(contact_ids))
        .order_by(Contact.id)
        .limit(len(contact_ids))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return list(rows)


async def insert_contact(session: Session, business_id: int, name: str | None) -> UUID:
    """Insert a contact without any identity yet."""
    contact_id: UUID = (
        await session.execute(text(INSERT_CONTACT), {"business_id": business_id, "name": name})
    ).scalar_one()
    return contact_id


async def delete_contact(session: Session, contact_id: UUID) -> None:
    """Delete a contact that this transaction made and nobody needs."""
    await session.execute(text(DELETE_CONTACT), {"id": contact_id})


async def attach_names(
    session: Session, business_id: int, contact_id: UUID, names: Mapping[IdentityKind, str]
) -> int:
    """Give a contact these names unless someone has them; return how many were free.

    Waits for a transaction that is inserting the same name. The order of the rows is fixed, so
    that two of these never wait for each other.
    """
    told = {
        "business_id": business_id,
        "contact_id": contact_id,
        "kinds": [kind.value for kind in sorted(names)],
        "values": [names[kind] for kind in sorted(names)],
    }
    return len((await session.execute(text(ATTACH), told)).all())


async def find_username(session: Session, business_id: int, username: str) -> tuple[UUID, bool] | None:
    """Return who goes by a username, and whether they have a name that proves who they are."""
    row = (
        await session.execute(text(BY_USERNAME), {"business_id": business_id, "username": username})
    ).first()
    return None if row is None else (row.id, row.has_proof)


async def take_username(session: Session, business_id: int, contact_id: UUID, username: str) -> None:
    """Give a contact a username, whoever had it."""
    await session.execute(
        text(TAKE_USERNAME), {"business_id": business_id, "contact_id": contact_id, "username": username}
    )
    await session.execute(text(GIVE_UP_USERNAMES), {"contact_id": contact_id, "username": username})


async def note_username(session: Session, contact_id: UUID, username: str) -> None:
    """Note which username a contact told last."""
    await session.execute(update(Contact).where(Contact.id == contact_id).values(username=username))


async def name_nameless(session: Session, contact_id: UUID, name: str) -> None:
    """Name a contact who has no name yet; a known name stays."""
    await session.execute(
        update(Contact).where(Contact.id == contact_id, Contact.name.is_(None)).values(name=name)
    )


async def live_contact(session: Session, contact_id: UUID) -> UUID:
    """Return the contact that an id names today, after all merges."""
    found: UUID = (await session.execute(text("SELECT live_contact(:id)"), {"id": contact_id})).scalar_one()
    return found
