"""Removing recordings that were kept long enough."""

from __future__ import annotations

from datetime import timedelta

from server.db import Session
from server.domains.recordings import queries
from server.queue import Run
from server.queue.removing import OldFile, Removal, remove_files
from server.queue.walks import Walk


async def remove_old(run: Run, *, limit: int) -> int:
    """Remove recordings older than they are kept, the oldest first.

    Returns how many it looked at, at most `limit`; ProviderDownError says how many could not be removed.
    """
    kept = timedelta(days=run.outside.recordings_keep_days)

    async def list_old(session: Session, walk: Walk, most: int) -> list[OldFile]:
        return await queries.list_old(session, older_than=kept, walk=walk, limit=most)

    removal = Removal("recordings", list_old, run.outside.recordings.remove, queries.mark_deleted)
    return await remove_files(run, removal, limit=limit)
