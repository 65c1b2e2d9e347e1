"""Remove files that the storage has no longer to hold."""

from __future__ import annotations

from server.domains import media
from server.errors import Snooze
from server.queue import Run, handles
from server.queue.catalog import MediaCleanup

FILES_A_RUN = 1000


@handles(MediaCleanup)
async def media_cleanup_job(run: Run, _payload: MediaCleanup) -> None:
    """Remove a bounded number of files, and come again while there are more."""
    if await media.clean_up(run, limit=FILES_A_RUN) >= FILES_A_RUN:
        raise Snooze("more files are to be removed", for_s=1)
