"""The pipeline: stages, leads and what happened to them, and where leads come from besides messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    UniqueConstraint,
    desc,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.db.base import Base, BusinessId, CreatedAt, Id


class LeadStage(Base):
    """A step of a business's own pipeline; `sort` is open, won or lost, `place` its order."""

    __tablename__ = "lead_stage"
    __table_args__ = (
        UniqueConstraint("business_id", "id"),
        Index("lead_stage_place", "business_id", "place"),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    name: Mapped[str]
    sort: Mapped[str] = mapped_column(server_default="open")
    colour: Mapped[str] = mapped_column(server_default="grey")
    place: Mapped[int] = mapped_column(Integer)
    archived_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class Lead(Base):
    """A contact in the sales pipeline; `source` says what first brought them, no stage means the first."""

    __tablename__ = "lead"
    __table_args__ = (
        Index("lead_recent", "business_id", desc("last_contact_at")),
        Index("lead_of_stage", "business_id", "stage_id", desc("last_contact_at")),
        ForeignKeyConstraint(["business_id", "stage_id"], ["lead_stage.business_id", "lead_stage.id"]),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contact.id"), unique=True)
    # Written by the code before migration 0014 alone.
    stage: Mapped[str] = mapped_column(server_default="new")
    stage_id: Mapped[UUID | None]
    title: Mapped[str | None]
    value_minor: Mapped[int | None]
    currency: Mapped[str | None]
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("user_account.id"))
    source: Mapped[str]
    stage_at: Mapped[CreatedAt]
    last_contact_at: Mapped[CreatedAt]
    created_at: Mapped[CreatedAt]


class LeadActivity(Base):
    """One thing that happened to a lead: by whom, and what."""

    __tablename__ = "lead_activity"
    __table_args__ = (
        UniqueConstraint("business_id", "key"),
        ForeignKeyConstraint(["business_id", "contact_id"], ["contact.business_id", "contact.id"]),
        Index("lead_activity_contact", "contact_id", desc("position")),
        Index("lead_activity_order", "business_id", "position"),
    )

    id: Mapped[Id]
    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    contact_id: Mapped[UUID]
    kind: Mapped[str]
    actor: Mapped[str]
    text: Mapped[str | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    key: Mapped[str | None]
    at: Mapped[CreatedAt]


class LeadForm(Base):
    """A form of the business's web site that posts leads; the digest of its secret is how it is known."""

    __tablename__ = "lead_form"
    __table_args__ = (UniqueConstraint("business_id", "id"),)

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    name: Mapped[str]
    token_digest: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[CreatedAt]
    closed_at: Mapped[datetime | None]


class LeadDelivery(Base):
    """What a form posted, as it came."""

    __tablename__ = "lead_delivery"
    __table_args__ = (
        ForeignKeyConstraint(["business_id", "form_id"], ["lead_form.business_id", "lead_form.id"]),
        Index("lead_delivery_dedup", "form_id", "dedup_key", desc("received_at")),
        Index("lead_delivery_age", "business_id", "received_at"),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    form_id: Mapped[UUID]
    dedup_key: Mapped[str]
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(server_default="stored")
    reason: Mapped[str | None]
    received_at: Mapped[CreatedAt]
    processed_at: Mapped[datetime | None]


class LeadImport(Base):
    """A file of leads; its content is dropped once its rows are read."""

    __tablename__ = "lead_import"
    __table_args__ = (
        UniqueConstraint("business_id", "id"),
        Index("lead_import_business", "business_id", desc("created_at")),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    file_name: Mapped[str]
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    mapping: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    state: Mapped[str] = mapped_column(server_default="uploaded")
    reason: Mapped[str | None]
    made_by: Mapped[str]
    job_id: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    ended_at: Mapped[datetime | None]


class LeadImportRow(Base):
    """One line of such a file, with what became of it."""

    __tablename__ = "lead_import_row"
    __table_args__ = (
        UniqueConstraint("import_id", "line"),
        ForeignKeyConstraint(
            ["business_id", "import_id"], ["lead_import.business_id", "lead_import.id"], ondelete="CASCADE"
        ),
        Index("lead_import_row_state", "import_id", "state", "line"),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    import_id: Mapped[UUID]
    line: Mapped[int] = mapped_column(Integer)
    fields: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(server_default="waiting")
    reason: Mapped[str | None]
