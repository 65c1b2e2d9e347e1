"""Raise what came of reminders."""

from __future__ import annotations

from server.domains import reminders
from server.queue import Run, handles
from server.queue.catalog import RemindersTick

REMINDERS_A_RUN = 5000


@handles(RemindersTick)
async def reminders_tick_job(run: Run, _payload: RemindersTick) -> None:
    """Raise a bounded number, by the database's clock and not by the slot; the next slot takes the rest."""
    await reminders.raise_due(run, limit=REMINDERS_A_RUN)
