"""Reminders that come again and again: a business's own schedule makes them, each a little ahead."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from server.db import Session
from server.db.session import driver_of
from server.domains import accounts
from server.domains.reminders import queries
from server.domains.reminders.models import ReminderSeries
from server.domains.reminders.queries import Wanted
from server.domains.reminders.rules import checked_label, checked_text, first_moment
from server.domains.reminders.service import known_subject
from server.errors import BadInputError
from server.queue import Run, schedules
from server.queue.catalog import ReminderRecurs
from server.queue.schedules import Actor
from server.queue.slots import Plan


async def repeat(  # noqa: PLR0913 -- what a series is
    session: Session,
    business_id: int,
    *,
    text: str,
    cron: str,
    label: str,
    by: str,
    conversation_id: UUID | None = None,
    contact_id: UUID | None = None,
) -> UUID:
    """Remind at every slot of a cron expression on the business's own clock; return the series' id.

    `label` is what the list of schedules shows: never the text, which is the business's alone. Raises
    BadInputError `bad_label`, `bad_reminder`, `bad_schedule`, `no_such_business`, `no_such_subject` or
    `too_many_schedules`.
    """
    business = await accounts.find_business(session, business_id)
    if business is None:
        raise BadInputError("no_such_business", f"There is no business {business_id}.")
    series = ReminderSeries(
        id=uuid4(),
        business_id=business_id,
        cron=cron,
        zone=business.time_zone,
        text=checked_text(text),
        conversation_id=conversation_id,
        contact_id=contact_id,
        made_by=by,
    )
    with known_subject():
        async with session.begin_nested():
            series.schedule = await _keep(session, series, checked_label(label))
            await queries.insert_series(session, series)
    await _make(session, series, _plan(series).first_after(await queries.read_now(session)))
    return series.id


async def stop_repeating(session: Session, series_id: UUID, *, by: str) -> bool:
    """End a series and cancel what it made ahead; tell whether it went on. What is due stays open."""
    name = await queries.stop_series(session, series_id)
    if name is None:
        return False
    await schedules.remove(await driver_of(session), name, by=Actor(by, "the reminder is stopped"))
    await queries.cancel_coming(session, series_id)
    return True


async def make_occurrence(run: Run, series_id: UUID, slot: datetime) -> None:
    """Make the reminder of a slot if there is none, and the next one, which is reminded of before it is due.

    A second time changes nothing, nor does a series that was stopped or a reminder that was ended or moved.
    """
    async with run.completing() as session:
        series = await queries.lock_series(session, series_id)
        if series is None:
            return
        await _make(session, series, slot)
        await _make(session, series, _plan(series).first_after(slot))


def _plan(series: ReminderSeries) -> Plan:
    return Plan(series.cron, series.zone)


async def _keep(session: Session, series: ReminderSeries, label: str) -> str:
    name, dispatches = await schedules.keep(
        await driver_of(session),
        ReminderRecurs,
        {"series_id": str(series.id)},
        _plan(series),
        business_id=series.business_id,
        key=str(series.id),
        label=label,
        by=Actor(series.made_by, "a reminder that comes again and again"),
    )
    session.outbox.extend(dispatches)
    return name


async def _make(session: Session, series: ReminderSeries, slot: datetime) -> None:
    await queries.insert_reminder(
        session,
        Wanted(
            business_id=series.business_id,
            text=series.text,
            due_at=slot,
            raise_at=first_moment(slot),
            made_by=series.made_by,
            conversation_id=series.conversation_id,
            contact_id=series.contact_id,
            series_id=series.id,
            slot=slot,
        ),
    )
