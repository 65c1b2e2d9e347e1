"""Removing recordings that were kept long enough: the file first, then its row says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from server.domains.recordings import queries
from server.domains.recordings.queries import OldRecording
from server.errors import ProviderDownError
from server.log import get_logger
from server.ports import RecordingStorage
from server.queue import Run
from server.queue.walks import Walk, walk_of

log = get_logger(__name__)

AT_ONCE = 50


async def remove_old(run: Run, *, limit: int) -> int:
    """Remove recordings older than they are kept, the oldest first, at most `limit`.

    Returns how many it looked at, and goes on where this job's last run stood. A run that dies between a file
    and its row leaves a row whose file is gone, which the next one notes. What the storage refuses is stepped
    over: at the end of the walk ProviderDownError says how many that were, and the next try begins with the
    oldest again.
    """
    businesses, walk = await run.every_business(), walk_of(run.checkpoint)
    looked_at, found = 0, AT_ONCE
    while businesses and found == AT_ONCE and looked_at < limit:
        async with run.database.transaction(*businesses) as session:
            old = await queries.list_old(
                session,
                older_than=timedelta(days=run.outside.recordings_keep_days),
                walk=walk,
                limit=min(AT_ONCE, limit - looked_at),
            )
        found = len(old)
        looked_at += found
        if old:
            gone = await _remove(run.outside.recordings, old)
            walk = Walk(old[-1].recorded_at, old[-1].id, walk.failed + found - len(gone))
            async with run.step(*businesses) as session:
                await queries.mark_deleted(session, gone)
                await run.keep_checkpoint(session, walk.as_checkpoint())
    if walk.failed and looked_at < limit:
        async with run.step() as session:
            await run.keep_checkpoint(session, {})
        raise ProviderDownError(f"{walk.failed} recordings could not be removed: look at the worker's log")
    return looked_at


async def _remove(storage: RecordingStorage, old: Sequence[OldRecording]) -> list[UUID]:
    gone = []
    for one in old:
        try:
            await storage.remove(one.business_id, one.storage_key)
        except ProviderDownError as error:
            log.warning("recording_not_removed", recording_id=str(one.id), why=str(error))
        else:
            gone.append(one.id)
    return gone
