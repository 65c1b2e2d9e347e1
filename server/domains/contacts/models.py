"""Who writes or calls, under which names, what they agreed to, and which contacts proved to be one."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Identity, Index, UniqueConstraint, desc
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.db.base import Base, BusinessId, CreatedAt, Id


class Contact(Base):
    """A person who wrote or called; `name` is what they call themselves, None until they say.

    `email`, `told_phone` and `username` are what was told of them: they prove nothing.
    """

    __tablename__ = "contact"
    __table_args__ = (
        UniqueConstraint("business_id", "id"),
        Index("contact_business", "business_id", "created_at"),
        *(
            Index(f"contact_{name}", "business_id", name, postgresql_where=sql(f"{name} IS NOT NULL"))
            for name in ("email", "told_phone", "username")
        ),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    name: Mapped[str | None]
    email: Mapped[str | None]
    told_phone: Mapped[str | None]
    username: Mapped[str | None]
    city: Mapped[str | None]
    revision: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[CreatedAt]


class ContactIdentity(Base):
    """One name that a contact goes by: a phone in E.164, a LID's digits, an id, a username, an address."""

    __tablename__ = "contact_identity"
    __table_args__ = (
        UniqueConstraint("business_id", "kind", "value"),
        Index("contact_identity_contact", "contact_id"),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contact.id"))
    kind: Mapped[str]
    value: Mapped[str]
    created_at: Mapped[CreatedAt]


class ContactMerge(Base):
    """Two contacts that became one: who said so and why, and what it takes to part them again."""

    __tablename__ = "contact_merge"
    __table_args__ = (
        Index("contact_merge_survivor", "survivor_id", "made_at"),
        Index("contact_merge_loser", "loser_id", "made_at"),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    survivor_id: Mapped[UUID]
    loser_id: Mapped[UUID]
    reason: Mapped[str]
    made_by: Mapped[str]
    kept: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    made_at: Mapped[CreatedAt]
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[str | None]


class ContactMergePart(Base):
    """One row that a merge moved: from which contact or conversation to which."""

    __tablename__ = "contact_merge_part"
    __table_args__ = (Index("contact_merge_part_merge", "merge_id", "table_name", "from_id"),)

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    merge_id: Mapped[UUID] = mapped_column(ForeignKey("contact_merge.id"))
    table_name: Mapped[str]
    row_id: Mapped[UUID]
    from_id: Mapped[UUID]
    to_id: Mapped[UUID]


class ConversationMoved(Base):
    """Where a conversation went that is no more."""

    __tablename__ = "conversation_moved"
    __table_args__ = (Index("conversation_moved_merge", "merge_id"),)

    from_id: Mapped[UUID] = mapped_column(primary_key=True)
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    to_id: Mapped[UUID]
    merge_id: Mapped[UUID] = mapped_column(ForeignKey("contact_merge.id"))


class ContactDistinct(Base):
    """Two contacts of which a person said that they are not one."""

    __tablename__ = "contact_distinct"
    __table_args__ = (UniqueConstraint("one_id", "other_id"),)

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    one_id: Mapped[UUID]
    other_id: Mapped[UUID]
    said_by: Mapped[str]
    said_at: Mapped[CreatedAt]


class Consent(Base):
    """One thing that a contact, or someone for them, said of marketing: in which words, and where."""

    __tablename__ = "consent"
    __table_args__ = (
        UniqueConstraint("business_id", "key"),
        ForeignKeyConstraint(["business_id", "contact_id"], ["contact.business_id", "contact.id"]),
        Index("consent_contact", "contact_id", "purpose", desc("at"), desc("position")),
    )

    id: Mapped[Id]
    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    contact_id: Mapped[UUID]
    purpose: Mapped[str]
    value: Mapped[str]
    wording: Mapped[str]
    source: Mapped[str]
    key: Mapped[str | None]
    merge_id: Mapped[UUID | None] = mapped_column(ForeignKey("contact_merge.id"))
    at: Mapped[CreatedAt]
