"""What a business has told its assistant, and what that did and cost."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Computed, Float, ForeignKey, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from server.db.base import Base, BusinessId, CreatedAt, Id

SEARCH = (
    "setweight(to_tsvector('simple'::regconfig, title), 'A')"
    " || setweight(to_tsvector('simple'::regconfig, body), 'B')"
)


class KnowledgeEntry(Base):
    """One thing the assistant may tell customers; language is he or en."""

    __tablename__ = "knowledge_entry"
    __table_args__ = (UniqueConstraint("business_id", "language", "title"),)

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    title: Mapped[str]
    body: Mapped[str]
    language: Mapped[str] = mapped_column(server_default=text("'he'"))
    search: Mapped[str] = mapped_column(TSVECTOR, Computed(SEARCH, persisted=True), nullable=True)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class BusinessAssistant(Base):
    """How a business wants its assistant; one without a row has the defaults.

    `hours` holds times by weekday, `exceptions` the days that are unlike the others; `rules` of hours
    reads both. `monthly_cap_micro` is in millionths of a US dollar, None for no cap.
    """

    __tablename__ = "business_assistant"

    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"), primary_key=True)
    about: Mapped[str] = mapped_column(server_default="")
    tone: Mapped[str] = mapped_column(server_default="")
    instructions: Mapped[str] = mapped_column(server_default="")
    hours: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    exceptions: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    keeps_scope: Mapped[bool] = mapped_column(server_default="true")
    tools: Mapped[list[str]] = mapped_column(ARRAY(Text))
    needs_approval: Mapped[bool] = mapped_column(server_default="false")
    quiet_s: Mapped[float] = mapped_column(Float, server_default="2")
    session_idle_h: Mapped[int] = mapped_column(Integer, server_default="24")
    monthly_cap_micro: Mapped[int | None]
    updated_at: Mapped[CreatedAt]


class AssistantToolCall(Base):
    """One tool called for one message, written with what it did; state is done or refused.

    `ordinal` counts the calls of a tool for a message: a run that begins again finds what was done.
    """

    __tablename__ = "assistant_tool_call"
    __table_args__ = (
        UniqueConstraint("message_id", "tool", "ordinal"),
        Index("assistant_tool_call_recent", "conversation_id", "at"),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    conversation_id: Mapped[UUID]
    message_id: Mapped[UUID] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"))
    tool: Mapped[str]
    ordinal: Mapped[int] = mapped_column(Integer)
    arguments: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str]
    result: Mapped[str]
    at: Mapped[CreatedAt]


class AssistantUse(Base):
    """One reply, summary or trial that a model was asked for; cost in millionths of a US dollar."""

    __tablename__ = "assistant_use"
    __table_args__ = (Index("assistant_use_month", "business_id", "at", postgresql_include=["cost_micro"]),)

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    message_id: Mapped[UUID | None]
    purpose: Mapped[str]
    model: Mapped[str]
    input_tokens: Mapped[int]
    output_tokens: Mapped[int]
    cost_micro: Mapped[int]
    at: Mapped[CreatedAt]


class AssistantNotice(Base):
    """What the owner should know of the assistant, once a kind and period however often it happened."""

    __tablename__ = "assistant_notice"
    __table_args__ = (UniqueConstraint("business_id", "kind", "period"),)

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    kind: Mapped[str]
    period: Mapped[date]
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("message.id", ondelete="SET NULL"))
    times: Mapped[int] = mapped_column(Integer, server_default="1")
    detail: Mapped[str] = mapped_column(server_default="")
    first_at: Mapped[CreatedAt]
    last_at: Mapped[CreatedAt]
    seen_at: Mapped[datetime | None]


class AssistantTrial(Base):
    """A question somebody of the business asks to see the answer; nothing of it is sent."""

    __tablename__ = "assistant_trial"
    __table_args__ = (Index("assistant_trial_recent", "business_id", "asked_at"),)

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    asked_by: Mapped[UUID]
    question: Mapped[str]
    answer: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    asked_at: Mapped[CreatedAt]
    answered_at: Mapped[datetime | None]
