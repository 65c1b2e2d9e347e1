"""The folder through which a worker's processes add up their counters, and those that killed workers left.

A worker that is killed cleans up nothing. Each holds a lock in its folder for as long as one of its
processes lives, so that the next one to start can tell what is nobody's any more; ids of processes would
not do, for they come again, and mean something else in another container.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from server import clock

PREFIX = "prosaas-metrics-"
LOCK = "held"
# A folder without a lock is being made just now, or is a former version's: such a worker writes into its own.
UNTOUCHED_S = 24 * 3600


@contextmanager
def metrics_folder() -> Iterator[str]:
    """Make this worker's folder, and remove what is nobody's; yields its path."""
    parent = Path(tempfile.gettempdir())
    for folder in parent.glob(f"{PREFIX}*"):
        # Another user's, or another worker removes it just now.
        with suppress(OSError):
            _remove_unless_held(folder)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as path, (Path(path) / "new").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Named once it is held: nobody finds it free in between.
        (Path(path) / "new").rename(Path(path) / LOCK)
        yield path


def _remove_unless_held(folder: Path) -> None:
    held = folder / LOCK
    if not held.exists():
        newest = max(one.stat().st_mtime for one in (folder, *folder.iterdir()))
        if newest < clock.utc_now().timestamp() - UNTOUCHED_S:
            shutil.rmtree(folder)
        return
    with held.open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
