"""What the assistant's tools did."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Integer, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.db.base import Base, BusinessId, CreatedAt, Id


class AssistantToolCall(Base):
    """One tool called for one message, written with what it did; state is done or refused.

    `ordinal` counts the calls of a tool for a message: a run that begins again finds what was done.
    """

    __tablename__ = "assistant_tool_call"
    __table_args__ = (UniqueConstraint("message_id", "tool", "ordinal"),)

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    message_id: Mapped[UUID] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"))
    tool: Mapped[str]
    ordinal: Mapped[int] = mapped_column(Integer)
    arguments: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str]
    result: Mapped[str]
    at: Mapped[CreatedAt]
