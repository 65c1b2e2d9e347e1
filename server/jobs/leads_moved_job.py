"""Tell of leads that moved together."""

from __future__ import annotations

from server.domains import contacts
from server.queue import Run, handles
from server.queue.catalog import LeadsMoved


@handles(LeadsMoved)
async def leads_moved_job(run: Run, payload: LeadsMoved) -> None:
    """Tell of them a slice at a time; a second run tells nothing."""
    await contacts.tell_moves(run, payload.first, payload.last)
