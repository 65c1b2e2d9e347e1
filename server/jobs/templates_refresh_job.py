"""Ask for the templates of every channel."""

from __future__ import annotations

from server.domains import messaging
from server.queue import Run, handles
from server.queue.catalog import TemplatesRefresh


@handles(TemplatesRefresh)
async def templates_refresh_job(run: Run, payload: TemplatesRefresh) -> None:
    """Ask for each channel's list in a job of its own."""
    await messaging.ask_for_stale_templates(run, payload.slot)
