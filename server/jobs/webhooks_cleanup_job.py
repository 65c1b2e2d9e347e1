"""Forget events that were told to others long ago."""

from __future__ import annotations

from server.domains import integrations
from server.errors import Snooze
from server.queue import Run, handles
from server.queue.catalog import WebhooksCleanup

ROWS_A_RUN = 10_000


@handles(WebhooksCleanup)
async def webhooks_cleanup_job(run: Run, _payload: WebhooksCleanup) -> None:
    """Delete a bounded number of rows, and come again while there are more."""
    if await integrations.forget_old(run, limit=ROWS_A_RUN) >= ROWS_A_RUN:
        raise Snooze("more webhook events are to be forgotten", for_s=1)
