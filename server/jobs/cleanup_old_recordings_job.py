"""Remove recordings that were kept long enough."""

from __future__ import annotations

from server.domains import recordings
from server.errors import Snooze
from server.queue import Run, handles
from server.queue.catalog import CleanupOldRecordings

FILES_A_RUN = 1000


@handles(CleanupOldRecordings)
async def cleanup_old_recordings_job(run: Run, _payload: CleanupOldRecordings) -> None:
    """Remove a bounded number of files, and come again while there are more."""
    if await recordings.remove_old(run, limit=FILES_A_RUN) >= FILES_A_RUN:
        raise Snooze("more recordings are to be removed", for_s=1)
