"""Who writes or calls, under which names, and how far they came towards buying."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint, desc
from sqlalchemy.orm import Mapped, mapped_column

from server.db.base import Base, BusinessId, CreatedAt, Id


class Contact(Base):
    """A person who wrote or called; `name` is what they call themselves, None until they say."""

    __tablename__ = "contact"
    __table_args__ = (
        UniqueConstraint("business_id", "id"),
        Index("contact_business", "business_id", "created_at"),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    name: Mapped[str | None]
    created_at: Mapped[CreatedAt]


class ContactIdentity(Base):
    """One name that proves who a contact is: a phone in E.164, or the digits of a LID."""

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


class Lead(Base):
    """A contact in the sales pipeline; `source` says what first brought them."""

    __tablename__ = "lead"
    __table_args__ = (Index("lead_recent", "business_id", desc("last_contact_at")),)

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contact.id"), unique=True)
    stage: Mapped[str] = mapped_column(server_default="new")
    source: Mapped[str]
    last_contact_at: Mapped[CreatedAt]
    created_at: Mapped[CreatedAt]
