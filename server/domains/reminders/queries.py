"""The SQL of reminders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from server.db import Session, text
from server.domains.reminders.models import Reminder, ReminderPushLog, ReminderSeries
from server.domains.reminders.rules import Offset


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A reminder to be stored; `slot` is the one of its series that it stands for."""

    business_id: int
    text: str
    due_at: datetime
    raise_at: datetime
    made_by: str
    conversation_id: UUID | None = None
    contact_id: UUID | None = None
    series_id: UUID | None = None
    slot: datetime | None = None


@dataclass(frozen=True)
class DueReminder:
    """A reminder of which an offset came."""

    id: UUID
    business_id: int
    conversation_id: UUID | None
    due_at: datetime
    due_set_at: datetime


@dataclass(frozen=True)
class Logged:
    """A row of the log to be written."""

    reminder: DueReminder
    offset: Offset


# Who completes or moves one at this moment decides before it is raised: it is left to the next look.
DUE = """
SELECT id, business_id, conversation_id, due_at, due_set_at FROM reminder
WHERE raise_at <= now() ORDER BY raise_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
"""


async def read_now(session: Session) -> datetime:
    """Return the moment at which this transaction began, by the database's clock."""
    now: datetime = (await session.execute(text("SELECT now()"))).scalar_one()
    return now


async def insert_reminder(session: Session, wanted: Wanted) -> UUID | None:
    """Store a reminder; None when its series has one for this slot, whatever became of that."""
    row = await session.execute(
        upsert(Reminder)
        .values(**vars(wanted))
        .on_conflict_do_nothing(index_elements=[Reminder.series_id, Reminder.slot])
        .returning(Reminder.id)
    )
    return row.scalar_one_or_none()


async def lock_reminder(session: Session, reminder_id: UUID) -> Reminder | None:
    """Return a reminder of this transaction's business, and let no one else raise or change it meanwhile."""
    return await session.scalar(
        select(Reminder).where(Reminder.id == reminder_id).order_by(Reminder.id).limit(1).with_for_update()
    )


async def move_reminder(session: Session, reminder_id: UUID, *, due_at: datetime, raise_at: datetime) -> None:
    """Give a reminder another due time."""
    await session.execute(
        update(Reminder)
        .where(Reminder.id == reminder_id)
        .values(due_at=due_at, due_set_at=func.now(), raise_at=raise_at)
    )


async def end_reminder(session: Session, reminder_id: UUID, state: str) -> bool:
    """Note that a reminder is done or cancelled; tell whether it was open."""
    row = await session.execute(
        update(Reminder)
        .where(Reminder.id == reminder_id, Reminder.state == "open")
        .values(state=state, ended_at=func.now(), raise_at=None)
        .returning(Reminder.id)
    )
    return row.first() is not None


async def lock_due(session: Session, *, limit: int) -> list[DueReminder]:
    """Return reminders of which an offset came, the longest due first, and let no one else raise them."""
    rows = await session.execute(text(DUE), {"limit": limit})
    return [DueReminder(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


async def log_offsets(session: Session, rows: Sequence[Logged]) -> set[tuple[UUID, int]]:
    """Write rows of the log; return those that are new, as reminder and offset."""
    values = [
        {
            "reminder_id": row.reminder.id,
            "due_at": row.reminder.due_at,
            "offset_min": row.offset.offset_min,
            "business_id": row.reminder.business_id,
            "state": row.offset.state.value,
            "reason": row.offset.reason,
        }
        for row in rows
    ]
    if not values:
        return set()
    written = await session.execute(
        upsert(ReminderPushLog)
        .values(values)
        .on_conflict_do_nothing()
        .returning(ReminderPushLog.reminder_id, ReminderPushLog.offset_min)
    )
    return {(row.reminder_id, row.offset_min) for row in written}


async def look_again(session: Session, moments: Sequence[tuple[UUID, datetime | None]]) -> None:
    """Note when each of these reminders is to be looked at next."""
    await session.execute(
        text(
            "UPDATE reminder SET raise_at = one.raise_at"
            " FROM unnest(cast(:ids AS uuid[]), cast(:moments AS timestamptz[])) AS one (id, raise_at)"
            " WHERE reminder.id = one.id"
        ),
        {"ids": [one for one, _ in moments], "moments": [at for _, at in moments]},
    )


async def insert_series(session: Session, series: ReminderSeries) -> None:
    """Store a series."""
    session.add(series)
    await session.flush()


async def lock_series(session: Session, series_id: UUID) -> ReminderSeries | None:
    """Return a series that goes on, and let no one stop it until this transaction ends."""
    return await session.scalar(
        select(ReminderSeries)
        .where(ReminderSeries.id == series_id, ReminderSeries.stopped_at.is_(None))
        .order_by(ReminderSeries.id)
        .limit(1)
        .with_for_update()
    )


async def stop_series(session: Session, series_id: UUID) -> str | None:
    """End a series and return its schedule's name; None when it does not go on."""
    row = await session.execute(
        update(ReminderSeries)
        .where(ReminderSeries.id == series_id, ReminderSeries.stopped_at.is_(None))
        .values(stopped_at=func.now())
        .returning(ReminderSeries.schedule)
    )
    return row.scalar_one_or_none()


async def cancel_coming(session: Session, series_id: UUID) -> None:
    """Cancel what a series made ahead; what is due stays until a person ends it."""
    await session.execute(
        update(Reminder)
        .where(Reminder.series_id == series_id, Reminder.state == "open", Reminder.due_at > func.now())
        .values(state="cancelled", ended_at=func.now(), raise_at=None)
    )


async def delete_ended(session: Session, *, older_than: timedelta, limit: int) -> int:
    """Delete reminders that ended long ago, with their log; return how many."""
    old = (
        select(Reminder.id)
        .where(Reminder.ended_at < func.now() - older_than)
        .order_by(Reminder.ended_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = await session.execute(
        delete(Reminder)
        .where(Reminder.id.in_(old))
        .returning(Reminder.id)
        .execution_options(synchronize_session=False)
    )
    return len(rows.all())


async def delete_stopped_series(session: Session, *, older_than: timedelta, limit: int) -> None:
    """Delete series that were stopped long ago and of which no reminder is left."""
    is_empty = ~select(Reminder.id).where(Reminder.series_id == ReminderSeries.id).exists()
    old = (
        select(ReminderSeries.id)
        .where(ReminderSeries.stopped_at < func.now() - older_than, is_empty)
        .order_by(ReminderSeries.stopped_at)
        .limit(limit)
    )
    await session.execute(
        delete(ReminderSeries).where(ReminderSeries.id.in_(old)).execution_options(synchronize_session=False)
    )
