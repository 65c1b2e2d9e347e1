"""Setting, moving and ending reminders, and raising what is due of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from server.db import Session
from server.domains.reminders import queries
from server.domains.reminders.announcing import announce
from server.domains.reminders.queries import DueReminder, Logged, Wanted
from server.domains.reminders.rules import Raise, check_due, checked_text, first_moment, judge
from server.errors import BadInputError
from server.log import get_logger
from server.queue import Run

log = get_logger(__name__)

# So many are raised, or forgotten, in one transaction.
AT_ONCE = 100
FORGOTTEN_AT_ONCE = 1000


async def set_reminder(
    session: Session,
    business_id: int,
    *,
    text: str,
    due_at: datetime,
    by: str,
    conversation_id: UUID | None = None,
    contact_id: UUID | None = None,
) -> UUID:
    """Make a reminder, about a conversation or a contact of the business or neither; return its id.

    Raises BadInputError `bad_reminder`, `bad_due_time`, `due_in_past` or `no_such_subject`.
    """
    check_due(due_at, await queries.read_now(session))
    wanted = Wanted(
        business_id=business_id,
        text=checked_text(text),
        due_at=due_at,
        raise_at=first_moment(due_at),
        made_by=by,
        conversation_id=conversation_id,
        contact_id=contact_id,
    )
    with known_subject():
        async with session.begin_nested():
            reminder_id = await queries.insert_reminder(session, wanted)
    if reminder_id is None:
        raise LookupError("a reminder of no series met another one's slot")
    return reminder_id


async def reschedule(session: Session, reminder_id: UUID, due_at: datetime) -> None:
    """Move an open reminder; of its new due time people are reminded anew.

    Raises BadInputError `bad_due_time`, `due_in_past`, `no_such_reminder` or `reminder_ended`.
    """
    check_due(due_at, await queries.read_now(session))
    reminder = await queries.lock_reminder(session, reminder_id)
    if reminder is None:
        raise BadInputError("no_such_reminder", "There is no such reminder.")
    if reminder.state != "open":
        raise BadInputError("reminder_ended", f"This reminder is {reminder.state}: set another one.")
    await queries.move_reminder(session, reminder_id, due_at=due_at, raise_at=first_moment(due_at))


async def complete(session: Session, reminder_id: UUID) -> bool:
    """Note that what a reminder is about was done; tell whether it was open. It never pops up again."""
    return await queries.end_reminder(session, reminder_id, "done")


async def cancel(session: Session, reminder_id: UUID) -> bool:
    """Call a reminder off; tell whether it was open. It never pops up again."""
    return await queries.end_reminder(session, reminder_id, "cancelled")


async def raise_due(run: Run, *, limit: int) -> int:
    """Raise what came of open reminders, by the database's clock, the longest due first; at most `limit`.

    Returns how many were looked at. Safe to run twice, also at once: an offset of a due time is raised once.
    """
    businesses = await run.every_business()
    looked_at, found = 0, AT_ONCE
    while businesses and found == AT_ONCE and looked_at < limit:
        async with run.step(*businesses) as session:
            due = await queries.lock_due(session, limit=min(AT_ONCE, limit - looked_at))
            raised = await _raise(session, due)
        if raised:
            overdue = sum(one.offset.state is Raise.OVERDUE for one in raised)
            log.info("reminders_raised", count=len(raised), overdue=overdue)
        found = len(due)
        looked_at += found
    return looked_at


async def forget_ended(run: Run, *, older_than_days: int, limit: int) -> int:
    """Delete reminders that ended long ago, with their log, and series without any; return how many."""
    businesses, older_than = await run.every_business(), timedelta(days=older_than_days)
    gone, found = 0, FORGOTTEN_AT_ONCE
    while businesses and found == FORGOTTEN_AT_ONCE and gone < limit:
        async with run.step(*businesses) as session:
            found = await queries.delete_ended(
                session, older_than=older_than, limit=min(FORGOTTEN_AT_ONCE, limit - gone)
            )
            await queries.delete_stopped_series(session, older_than=older_than, limit=FORGOTTEN_AT_ONCE)
        gone += found
    return gone


@contextmanager
def known_subject() -> Iterator[None]:
    """Turn the database's refusal of what a reminder is about into BadInputError `no_such_subject`."""
    try:
        yield
    except IntegrityError:
        raise BadInputError(
            "no_such_subject",
            "A reminder is about one conversation or one contact of its business, or neither.",
        ) from None


async def _raise(session: Session, due: list[DueReminder]) -> list[Logged]:
    if not due:
        return []
    now = await queries.read_now(session)
    verdicts = [(one, judge(due_at=one.due_at, due_set_at=one.due_set_at, now=now)) for one in due]
    rows = [Logged(one, offset) for one, verdict in verdicts for offset in verdict.offsets]
    new = await queries.log_offsets(session, rows)
    await queries.look_again(session, [(one.id, verdict.next_at) for one, verdict in verdicts])
    raised = [
        row
        for row in rows
        if row.offset.state is not Raise.SKIPPED and (row.reminder.id, row.offset.offset_min) in new
    ]
    await announce(session, raised)
    return raised
