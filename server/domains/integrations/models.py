"""Where a business's events go, what happened, how each telling went, and what programs asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, Integer, Text, UniqueConstraint, desc, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.db.base import Base, BusinessId, CreatedAt, Id


class WebhookEndpoint(Base):
    """An address that events are posted to; the older of two secrets signs as well until its time is over."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        UniqueConstraint("business_id", "id"),
        Index("webhook_endpoint_on", "business_id", postgresql_where=text("state = 'on'")),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    url: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    secret_encrypted: Mapped[str]
    older_secret_encrypted: Mapped[str | None]
    older_secret_until: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(server_default="on")
    failing_since: Mapped[datetime | None]
    state_at: Mapped[CreatedAt]
    created_at: Mapped[CreatedAt]


class WebhookEvent(Base):
    """Something that happened; `key` says which happening, so that it is told once."""

    __tablename__ = "webhook_event"
    __table_args__ = (
        UniqueConstraint("business_id", "id"),
        UniqueConstraint("business_id", "type", "key"),
        Index("webhook_event_age", "created_at"),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    type: Mapped[str]
    key: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[CreatedAt]


class WebhookDelivery(Base):
    """One event on its way to one endpoint, over as many tries as it takes."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        UniqueConstraint("business_id", "id"),
        UniqueConstraint("endpoint_id", "event_id"),
        ForeignKeyConstraint(
            ["business_id", "endpoint_id"],
            ["webhook_endpoint.business_id", "webhook_endpoint.id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["business_id", "event_id"],
            ["webhook_event.business_id", "webhook_event.id"],
            ondelete="CASCADE",
        ),
        Index("webhook_delivery_recent", "endpoint_id", desc("created_at")),
        Index("webhook_delivery_event", "event_id"),
        Index(
            "webhook_delivery_failed", "endpoint_id", "ended_at", postgresql_where=text("state = 'failed'")
        ),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId]
    endpoint_id: Mapped[UUID]
    event_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(server_default="waiting")
    tries: Mapped[int] = mapped_column(Integer, server_default="1")
    round_from: Mapped[int] = mapped_column(Integer, server_default="1")
    round_at: Mapped[CreatedAt]
    next_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    ended_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One time that a delivery was on its way; `status` is None where no answer came."""

    __tablename__ = "webhook_attempt"
    __table_args__ = (
        ForeignKeyConstraint(
            ["business_id", "delivery_id"],
            ["webhook_delivery.business_id", "webhook_delivery.id"],
            ondelete="CASCADE",
        ),
    )

    delivery_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    business_id: Mapped[BusinessId]
    status: Mapped[int | None] = mapped_column(Integer)
    duration_ms: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None]
    answer: Mapped[str] = mapped_column(server_default="")
    at: Mapped[CreatedAt]


class ApiRequest(Base):
    """What a program asked for under a key of its own, and the answer it had."""

    __tablename__ = "api_request"
    __table_args__ = (Index("api_request_age", "created_at"),)

    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_digest: Mapped[str]
    status: Mapped[int] = mapped_column(Integer)
    answer: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[CreatedAt]
