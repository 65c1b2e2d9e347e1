"""What people want to be reminded of, once or again and again, and what was raised of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db.base import Base, BusinessId, CreatedAt, Id, Moment


class ReminderSeries(Base):
    """A reminder that comes again and again; `schedule` names the business's schedule that makes them."""

    __tablename__ = "reminder_series"
    __table_args__ = (
        UniqueConstraint("business_id", "id"),
        ForeignKeyConstraint(
            ["business_id", "conversation_id"], ["conversation.business_id", "conversation.id"]
        ),
        ForeignKeyConstraint(["business_id", "contact_id"], ["contact.business_id", "contact.id"]),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    schedule: Mapped[str]
    cron: Mapped[str]
    zone: Mapped[str]
    text: Mapped[str]
    conversation_id: Mapped[UUID | None]
    contact_id: Mapped[UUID | None]
    made_by: Mapped[str]
    created_at: Mapped[CreatedAt]
    stopped_at: Mapped[datetime | None]


class Reminder(Base):
    """One thing to be reminded of; state is open, done or cancelled.

    `raise_at` is when it is looked at next, None once nothing of it is to come. `due_set_at` is when it
    got this due time; `slot` is the one of its series that it stands for, wherever it was moved.
    """

    __tablename__ = "reminder"
    __table_args__ = (
        UniqueConstraint("business_id", "id"),
        UniqueConstraint("series_id", "slot"),
        ForeignKeyConstraint(
            ["business_id", "conversation_id"], ["conversation.business_id", "conversation.id"]
        ),
        ForeignKeyConstraint(["business_id", "contact_id"], ["contact.business_id", "contact.id"]),
        ForeignKeyConstraint(
            ["business_id", "series_id"], ["reminder_series.business_id", "reminder_series.id"]
        ),
        Index("reminder_raise", "raise_at", postgresql_where=text("raise_at IS NOT NULL")),
        Index("reminder_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        Index("reminder_business", "business_id", "due_at"),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    text: Mapped[str]
    conversation_id: Mapped[UUID | None]
    contact_id: Mapped[UUID | None]
    series_id: Mapped[UUID | None]
    slot: Mapped[datetime | None]
    due_at: Mapped[Moment]
    due_set_at: Mapped[CreatedAt]
    raise_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(server_default="open")
    made_by: Mapped[str]
    created_at: Mapped[CreatedAt]
    ended_at: Mapped[datetime | None]


class ReminderPushLog(Base):
    """That one offset of one due time came: it was raised, raised as overdue, or skipped for a reason."""

    __tablename__ = "reminder_push_log"
    __table_args__ = (
        ForeignKeyConstraint(
            ["business_id", "reminder_id"], ["reminder.business_id", "reminder.id"], ondelete="CASCADE"
        ),
    )

    reminder_id: Mapped[UUID] = mapped_column(primary_key=True)
    due_at: Mapped[Moment] = mapped_column(primary_key=True)
    offset_min: Mapped[int] = mapped_column(Integer, primary_key=True)
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    state: Mapped[str]
    reason: Mapped[str | None]
    at: Mapped[CreatedAt]
