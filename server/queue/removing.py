"""Removing files that a storage has no longer to hold, in the order of their age: for jobs that clean up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.db import Session
from server.errors import ProviderDownError
from server.log import get_logger
from server.queue.run import Run
from server.queue.walks import Walk, walk_of

log = get_logger(__name__)

AT_ONCE = 50


@dataclass(frozen=True)
class OldFile:
    """A file that is to go: its row's id and moment, and the key under which its storage knows it."""

    id: UUID
    business_id: int
    key: UUID
    at: datetime


@dataclass(frozen=True)
class Removal:
    """How files of one sort go: which are next, how the storage loses one, how their rows say so."""

    what: str
    list_old: Callable[[Session, Walk, int], Awaitable[Sequence[OldFile]]]
    remove: Callable[[int, UUID], Awaitable[None]]
    note_gone: Callable[[Session, Sequence[UUID]], Awaitable[None]]


async def remove_files(run: Run, removal: Removal, *, limit: int) -> int:
    """Remove old files, the oldest first, at most `limit`; the file first, then its row says so.

    Returns how many it looked at, and goes on where this job's last run stood. A run that dies between a file
    and its row leaves a row whose file is gone, which the next one notes. What the storage refuses is stepped
    over: at the end of the walk ProviderDownError says how many that were, and the next try begins with the
    oldest again.
    """
    businesses, walk = await run.every_business(), walk_of(run.checkpoint)
    looked_at, found = 0, AT_ONCE
    while businesses and found == AT_ONCE and looked_at < limit:
        async with run.database.transaction(*businesses) as session:
            old = await removal.list_old(session, walk, min(AT_ONCE, limit - looked_at))
        found = len(old)
        looked_at += found
        if old:
            gone = await _remove(removal, old)
            walk = Walk(old[-1].at, old[-1].id, walk.failed + found - len(gone))
            async with run.step(*businesses) as session:
                await removal.note_gone(session, gone)
                await run.keep_checkpoint(session, walk.as_checkpoint())
    if walk.failed and looked_at < limit:
        async with run.step() as session:
            await run.keep_checkpoint(session, {})
        raise ProviderDownError(
            f"{walk.failed} {removal.what} could not be removed: look at the worker's log"
        )
    return looked_at


async def _remove(removal: Removal, old: Sequence[OldFile]) -> list[UUID]:
    gone = []
    for one in old:
        try:
            await removal.remove(one.business_id, one.key)
        except ProviderDownError as error:
            log.warning("file_not_removed", what=removal.what, id=str(one.id), why=str(error))
        else:
            gone.append(one.id)
    return gone
