"""Forget inbox events and finished jobs that no sender can repeat any more."""

from __future__ import annotations

from server.domains import contacts, messaging
from server.errors import Snooze
from server.queue import Run, handles, upkeep
from server.queue.catalog import InboxCleanup

# Senders retry for up to seven days; thirty leaves room and lets people look back.
KEEP_DAYS = 30
ROWS_A_RUN = 10_000


@handles(InboxCleanup)
async def inbox_cleanup_job(run: Run, _payload: InboxCleanup) -> None:
    """Delete a bounded number of rows of each sort, and come again while there are more."""
    forgotten = [
        await forget(run, older_than_days=KEEP_DAYS, limit=ROWS_A_RUN)
        for forget in (
            messaging.forget_old_events,
            contacts.forget_deliveries,
            contacts.forget_imports,
            upkeep.forget_finished_jobs,
            upkeep.forget_old_slots,
        )
    ]
    if max(forgotten) >= ROWS_A_RUN:
        raise Snooze("there is more to forget", for_s=1)
