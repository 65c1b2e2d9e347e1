"""Removing what the storage has no longer to hold: the file first, then its row says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from server.domains.media import queries
from server.domains.media.queries import HeldFile
from server.errors import ProviderDownError
from server.log import get_logger
from server.ports import MediaStorage
from server.queue import Run
from server.queue.walks import Walk, walk_of

log = get_logger(__name__)

AT_ONCE = 50


async def clean_up(run: Run, *, limit: int) -> int:
    """Remove files that were kept long enough, never sent, or left over by a process that died.

    Returns how many it looked at, at most `limit`, and goes on where this job's last run stood. What the
    storage refuses is stepped over: at the end of the walk ProviderDownError says how many that were.
    """
    businesses, walk = await run.every_business(), walk_of(run.checkpoint)
    looked_at, found = 0, AT_ONCE
    while businesses and found == AT_ONCE and looked_at < limit:
        async with run.database.transaction(*businesses) as session:
            held = await queries.list_removable(
                session,
                older_than=timedelta(days=run.outside.media_limits.keep_days),
                walk=walk,
                limit=min(AT_ONCE, limit - looked_at),
            )
        found = len(held)
        looked_at += found
        if held:
            gone = await _remove(run.outside.media, held)
            walk = Walk(held[-1].created_at, held[-1].id, walk.failed + found - len(gone))
            async with run.step(*businesses) as session:
                await queries.note_removed(session, gone)
                await run.keep_checkpoint(session, walk.as_checkpoint())
    if walk.failed and looked_at < limit:
        async with run.step() as session:
            await run.keep_checkpoint(session, {})
        raise ProviderDownError(f"{walk.failed} files could not be removed: look at the worker's log")
    return looked_at


async def _remove(storage: MediaStorage, held: Sequence[HeldFile]) -> list[UUID]:
    gone = []
    for one in held:
        try:
            await storage.remove(one.business_id, one.id)
        except ProviderDownError as error:
            log.warning("media_not_removed", media_id=str(one.id), why=str(error))
        else:
            gone.append(one.id)
    return gone
