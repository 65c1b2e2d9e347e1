"""Make the reminders of a series, each a little ahead."""

from __future__ import annotations

from server.domains import reminders
from server.queue import Run, handles
from server.queue.catalog import ReminderRecurs


@handles(ReminderRecurs)
async def reminder_recurs_job(run: Run, payload: ReminderRecurs) -> None:
    """Make those of this slot and of the next, unless they are there or the series was stopped."""
    await reminders.make_occurrence(run, payload.series_id, payload.slot)
