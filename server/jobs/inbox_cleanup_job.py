"""Forget inbox events and finished jobs that no sender can repeat any more."""

from __future__ import annotations

from server.domains import messaging
from server.queue import Run, handles, upkeep
from server.queue.catalog import InboxCleanup

# Senders retry for up to seven days; thirty leaves room and lets people look back.
KEEP_DAYS = 30
ROWS_A_RUN = 10_000


@handles(InboxCleanup)
async def inbox_cleanup_job(run: Run, _payload: InboxCleanup) -> None:
    """Delete a bounded number of rows; the next slot takes the rest."""
    await messaging.forget_old_events(run, older_than_days=KEEP_DAYS, limit=ROWS_A_RUN)
    await upkeep.forget_finished_jobs(run, older_than_days=KEEP_DAYS, limit=ROWS_A_RUN)
