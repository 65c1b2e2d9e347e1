"""The SQL of contacts; only rows that the transaction may see."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import func, insert, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from server.db import Session
from server.domains.contacts.models import Contact, ContactIdentity, Lead
from server.ports import IdentityKind


async def find_owners(
    session: Session, business_id: int, names: Mapping[IdentityKind, str]
) -> dict[IdentityKind, UUID]:
    """Return whose each of these names is, for those that are known."""
    rows = await session.execute(
        select(ContactIdentity.kind, ContactIdentity.contact_id)
        .where(
            ContactIdentity.business_id == business_id,
            tuple_(ContactIdentity.kind, ContactIdentity.value).in_(
                [(kind.value, value) for kind, value in names.items()]
            ),
        )
        .order_by(ContactIdentity.kind)
        .limit(len(names))
    )
    return {IdentityKind(row.kind): row.contact_id for row in rows}


async def insert_contact(session: Session, business_id: int, name: str | None) -> UUID:
    """Insert a contact without any identity yet."""
    contact_id: UUID = (
        await session.execute(
            insert(Contact).values(business_id=business_id, name=name).returning(Contact.id)
        )
    ).scalar_one()
    return contact_id


async def attach_names(
    session: Session, business_id: int, contact_id: UUID, names: Mapping[IdentityKind, str]
) -> int:
    """Give a contact these names unless someone has them; return how many were free.

    Waits for a transaction that is inserting the same name. The order of the rows is fixed, so
    that two of these never wait for each other.
    """
    rows = await session.execute(
        upsert(ContactIdentity)
        .values(
            [
                {"business_id": business_id, "contact_id": contact_id, "kind": kind.value, "value": value}
                for kind, value in sorted(names.items())
            ]
        )
        .on_conflict_do_nothing(
            index_elements=[ContactIdentity.business_id, ContactIdentity.kind, ContactIdentity.value]
        )
        .returning(ContactIdentity.id)
    )
    return len(rows.all())


async def name_nameless(session: Session, contact_id: UUID, name: str) -> None:
    """Name a contact who has no name yet; a known name stays."""
    await session.execute(
        update(Contact).where(Contact.id == contact_id, Contact.name.is_(None)).values(name=name)
    )


async def upsert_lead(session: Session, contact_id: UUID, source: str) -> UUID:
    """Make the contact's lead, or note on it that they were in touch now."""
    lead_id: UUID = (
        await session.execute(
            upsert(Lead)
            .from_select(
                ["business_id", "contact_id", "source"],
                select(Contact.business_id, Contact.id, literal(source)).where(Contact.id == contact_id),
            )
            .on_conflict_do_update(
                index_elements=[Lead.contact_id],
                set_={"last_contact_at": func.greatest(Lead.last_contact_at, func.now())},
            )
            .returning(Lead.id)
        )
    ).scalar_one()
    return lead_id
