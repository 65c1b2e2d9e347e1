"""Removing what the storage has no longer to hold."""

from __future__ import annotations

from datetime import timedelta

from server.db import Session
from server.domains.media import queries
from server.queue import Run
from server.queue.removing import OldFile, Removal, remove_files
from server.queue.walks import Walk


async def clean_up(run: Run, *, limit: int) -> int:
    """Remove files that were kept long enough, never sent, or left over by a process that died.

    Returns how many it looked at, at most `limit`; ProviderDownError says how many could not be removed.
    """
    kept = timedelta(days=run.outside.media_limits.keep_days)

    async def list_old(session: Session, walk: Walk, most: int) -> list[OldFile]:
        return await queries.list_removable(session, older_than=kept, walk=walk, limit=most)

    removal = Removal("files of messages", list_old, run.outside.media.remove, queries.note_removed)
    return await remove_files(run, removal, limit=limit)
