"""Channels, conversations, what was said in them, and the inbox it came through."""

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
    LargeBinary,
    UniqueConstraint,
    desc,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.db.base import Base, BusinessId, CreatedAt, Id


class Channel(Base):
    """One account at a messaging provider; the digest of its secret is how its webhooks are known.

    A Cloud number's `secret` is its access token; what it signs its webhooks with is a secret apart.
    `connection` is what a bridge last said of its own connection to WhatsApp.
    """

    __tablename__ = "channel"
    __table_args__ = (
        UniqueConstraint("business_id", "kind", "name"),
        Index("channel_credential", "token_digest"),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    kind: Mapped[str]
    name: Mapped[str] = mapped_column(server_default="")
    base_url: Mapped[str]
    tenant: Mapped[str] = mapped_column(server_default="")
    secret_encrypted: Mapped[str]
    token_digest: Mapped[str]
    account_id: Mapped[str] = mapped_column(server_default="")
    settings: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    signing_secret_encrypted: Mapped[str] = mapped_column(server_default="")
    verify_token_encrypted: Mapped[str] = mapped_column(server_default="")
    connection: Mapped[str] = mapped_column(server_default="unknown")
    connection_reason: Mapped[str | None]
    connection_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class Conversation(Base):
    """All that is said with one contact on one channel; `address` is where they wrote from last.

    The assistant is silent while `ai_enabled` is false (until somebody resumes it) and until
    `ai_paused_until`; `pause_reason` is phone, inbox or hand. `needs_approval` is None where the
    business's own choice holds. A refusal's moment counts until the customer writes again.
    """

    __tablename__ = "conversation"
    __table_args__ = (
        UniqueConstraint("channel_id", "contact_id"),
        UniqueConstraint("business_id", "id"),
        Index("conversation_recent", "business_id", desc("last_message_at")),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    channel_id: Mapped[UUID] = mapped_column(ForeignKey("channel.id"))
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contact.id"))
    address: Mapped[str]
    ai_enabled: Mapped[bool] = mapped_column(server_default="true")
    ai_paused_until: Mapped[datetime | None]
    needs_person: Mapped[bool] = mapped_column(server_default="false")
    pause_reason: Mapped[str | None]
    taken_by: Mapped[UUID | None] = mapped_column(ForeignKey("user_account.id"))
    resumed_at: Mapped[datetime | None]
    needs_approval: Mapped[bool | None]
    read_position: Mapped[int] = mapped_column(BigInteger, server_default="0")
    window_closed_at: Mapped[datetime | None]
    unreachable_at: Mapped[datetime | None]
    capped_at: Mapped[datetime | None]
    last_message_at: Mapped[CreatedAt]
    created_at: Mapped[CreatedAt]


class ConversationSession(Base):
    """A stretch of a conversation without a long silence; closed with a summary."""

    __tablename__ = "conversation_session"
    __table_args__ = (
        Index(
            "conversation_session_open",
            "conversation_id",
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index(
            "conversation_session_stale",
            "business_id",
            "last_activity_at",
            postgresql_where=text("closed_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversation.id"))
    opened_at: Mapped[CreatedAt]
    last_activity_at: Mapped[CreatedAt]
    closed_at: Mapped[datetime | None]
    summary: Mapped[str | None]


class Message(Base):
    """One thing said. `position` orders a conversation; `text` is None where nothing was written."""

    __tablename__ = "message"
    __table_args__ = (
        Index(
            "message_provider",
            "business_id",
            "channel_id",
            "provider_id",
            unique=True,
            postgresql_where=text("provider_id IS NOT NULL"),
        ),
        Index(
            "message_answer",
            "answers_message_id",
            unique=True,
            postgresql_where=text("answers_message_id IS NOT NULL"),
        ),
        UniqueConstraint("business_id", "id"),
        Index("message_conversation", "conversation_id", "position"),
        Index(
            "message_client",
            "business_id",
            "client_key",
            unique=True,
            postgresql_where=text("client_key IS NOT NULL"),
        ),
        Index(
            "message_reaction",
            "conversation_id",
            text("(details ->> 'target')"),
            postgresql_where=text("kind = 'reaction'"),
        ),
    )

    id: Mapped[Id]
    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversation.id"))
    channel_id: Mapped[UUID] = mapped_column(ForeignKey("channel.id"))
    direction: Mapped[str]
    author: Mapped[str]
    kind: Mapped[str]
    text: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    provider_id: Mapped[str | None]
    quoted_provider_id: Mapped[str | None]
    answers_message_id: Mapped[UUID | None] = mapped_column(ForeignKey("message.id"))
    effect_key: Mapped[str | None] = mapped_column(unique=True)
    client_key: Mapped[str | None]
    sources: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    status: Mapped[str]
    status_reason: Mapped[str | None]
    sent_at: Mapped[datetime | None]
    status_at: Mapped[CreatedAt]
    created_at: Mapped[CreatedAt]


class Suggestion(Base):
    """What the assistant would answer; `state` is open, sent, discarded or stale."""

    __tablename__ = "suggestion"
    __table_args__ = (
        ForeignKeyConstraint(
            ["business_id", "conversation_id"], ["conversation.business_id", "conversation.id"]
        ),
        Index("suggestion_open", "conversation_id", unique=True, postgresql_where=text("state = 'open'")),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    conversation_id: Mapped[UUID]
    message_id: Mapped[UUID] = mapped_column(ForeignKey("message.id"), unique=True)
    text: Mapped[str]
    sources: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    state: Mapped[str] = mapped_column(server_default="open")
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("user_account.id"))
    decided_at: Mapped[datetime | None]
    sent_message_id: Mapped[UUID | None] = mapped_column(ForeignKey("message.id"))
    created_at: Mapped[CreatedAt]


class MessageTemplate(Base):
    """Words that are sent by name: a provider's template of one channel, or a business's own quick reply.

    `status` is the provider's, such as APPROVED, and `own` for a quick reply, which has no channel.
    """

    __tablename__ = "message_template"
    __table_args__ = (
        Index(
            "message_template_own",
            "business_id",
            "name",
            unique=True,
            postgresql_where=text("channel_id IS NULL"),
        ),
        Index(
            "message_template_name",
            "channel_id",
            "name",
            "language",
            unique=True,
            postgresql_where=text("channel_id IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    channel_id: Mapped[UUID | None] = mapped_column(ForeignKey("channel.id"))
    name: Mapped[str]
    language: Mapped[str] = mapped_column(server_default="")
    category: Mapped[str] = mapped_column(server_default="")
    status: Mapped[str] = mapped_column(server_default="own")
    reason: Mapped[str | None]
    body: Mapped[str]
    variables: Mapped[int] = mapped_column(server_default="0")
    names: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    header: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    buttons: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    synced_at: Mapped[CreatedAt]
    created_at: Mapped[CreatedAt]


class InboxEvent(Base):
    """One event of a webhook as it came. `state` is stored until all that follows from it is done."""

    __tablename__ = "inbox_event"
    __table_args__ = (
        UniqueConstraint("business_id", "channel_id", "event_id"),
        Index("inbox_event_age", "business_id", "received_at"),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId]
    channel_id: Mapped[UUID]
    event_id: Mapped[str]
    lane: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    # Written by the code before migration 0002 alone; the next migration drops it.
    payload_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(server_default="stored")
    reason: Mapped[str | None]
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("message.id"))
    received_at: Mapped[CreatedAt]
    processed_at: Mapped[datetime | None]


class InboxConflict(Base):
    """The same event id with other content: kept, and shown to whoever looks into the provider."""

    __tablename__ = "inbox_conflict"
    __table_args__ = (UniqueConstraint("inbox_event_id", "payload_hash"),)

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    inbox_event_id: Mapped[UUID] = mapped_column(ForeignKey("inbox_event.id", ondelete="CASCADE"))
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    payload_hash: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[CreatedAt]


class EarlyChange(Base):
    """An edit or a deletion that came before the message that it changes."""

    __tablename__ = "early_change"
    __table_args__ = (Index("early_change_target", "business_id", "channel_id", "target_id"),)

    inbox_event_id: Mapped[UUID] = mapped_column(
        ForeignKey("inbox_event.id", ondelete="CASCADE"), primary_key=True
    )
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    channel_id: Mapped[UUID] = mapped_column(ForeignKey("channel.id"))
    target_id: Mapped[str]
    created_at: Mapped[CreatedAt]
