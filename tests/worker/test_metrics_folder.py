"""What workers count through: each has a folder of its own, and clears away what killed ones left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from server.worker.metrics_folder import LOCK, PREFIX, metrics_folder

HOLDS = """
import time
from server.worker.metrics_folder import metrics_folder
with metrics_folder() as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def another_worker() -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_killed_workers_folder_is_removed_by_the_next_and_a_living_ones_stays(temporary):
    killed, left = another_worker()
    living, kept = another_worker()
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    try:
        assert left.exists()
        with metrics_folder() as own:
            assert {one.name for one in temporary.glob(f"{PREFIX}*")} == {kept.name, Path(own).name}
    finally:
        living.kill()
        living.communicate()
    assert not Path(own).exists()


def test_a_former_versions_folder_stays_until_nobody_has_written_into_it_for_a_day(temporary):
    folder = temporary / f"{PREFIX}former"
    folder.mkdir()
    figures = folder / "counter_17.db"
    figures.touch()
    with metrics_folder():
        assert folder.exists()

    long_ago = figures.stat().st_mtime - 2 * 24 * 3600
    for path in (figures, folder):
        os.utime(path, (long_ago, long_ago))
    with metrics_folder() as own:
        assert not folder.exists()
        assert (Path(own) / LOCK).exists()
