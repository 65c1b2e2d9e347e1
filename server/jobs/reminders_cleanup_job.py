"""Forget reminders that ended long ago."""

from __future__ import annotations

from server.domains import reminders
from server.errors import Snooze
from server.queue import Run, handles
from server.queue.catalog import RemindersCleanup

KEEP_DAYS = 90
ROWS_A_RUN = 10_000


@handles(RemindersCleanup)
async def reminders_cleanup_job(run: Run, _payload: RemindersCleanup) -> None:
    """Delete a bounded number of rows, and come again while there are more."""
    if await reminders.forget_ended(run, older_than_days=KEEP_DAYS, limit=ROWS_A_RUN) >= ROWS_A_RUN:
        raise Snooze("more reminders are to be forgotten", for_s=1)
