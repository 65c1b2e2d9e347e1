"""Old recordings lose their file, then their row says so; what the storage refuses holds back no other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from server.errors import LeaseLostError
from server.jobs import cleanup_old_recordings_job, load_handlers
from server.jobs.runtime import Ended, perform
from server.ports import Outside
from server.providers.recording_folder import RecordingFolder
from server.queue import Run, enqueue, removing
from server.queue.catalog import CleanupOldRecordings
from server.queue.ledger import Ledger, Outcome
from tests.engine import Engine, open_engine

SLOT = datetime(2026, 1, 1, tzinfo=UTC)
RECORDED = """
INSERT INTO recording (business_id, size_bytes, recorded_at)
VALUES ($1, 3, now() - $2::int * interval '1 day') RETURNING storage_key
"""
LEFT = "SELECT count(*) FROM recording WHERE deleted_at IS NULL"


@dataclass
class Shelf:
    """Recordings of two businesses in a folder, and the job that removes the old ones."""

    engine: Engine
    folder: Path
    keep_days: int = 90
    files: list[Path] = field(default_factory=list)

    async def record(self, days_ago: int, *, business_id: int = 6) -> Path:
        key: UUID = await self.engine.look.fetchval(RECORDED, business_id, days_ago)
        file = self.folder / str(business_id) / str(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"wav")
        self.files.append(file)
        return file

    def jam(self, file: Path) -> None:
        """Make a file one that the folder refuses to remove."""
        file.unlink()
        file.mkdir()

    async def clean_up(self, storage: RecordingFolder | None = None) -> Ended:
        """Run the job once more, as the same job."""
        async with self.engine.worker.transaction() as session:
            job_id = await enqueue(session, CleanupOldRecordings(SLOT))
        await self.engine.look.execute(
            "UPDATE job SET state = 'ready', due_at = now(), lease_until = NULL WHERE id = $1", job_id
        )
        outside = Outside(
            channels={},
            recordings=storage or RecordingFolder(self.folder),
            recordings_keep_days=self.keep_days,
        )
        ledger = Ledger(self.engine.worker, lease_s=20)
        [claim] = await ledger.claim([job_id], worker="test")
        run = Run(claim, database=self.engine.worker, outside=outside, lease_s=20)
        return await asyncio.create_task(perform(run, ledger))

    async def left(self) -> int:
        return int(await self.engine.look.fetchval(LEFT))


class DyingFolder(RecordingFolder):
    """A folder whose process loses its lease once it has removed a file."""

    async def remove(self, business_id: int, key: UUID) -> None:
        await super().remove(business_id, key)
        raise LeaseLostError("as a process that dies here")


@pytest.fixture
async def shelf(clean_database, redis_url, tmp_path):
    load_handlers()
    async with open_engine(clean_database, redis_url) as engine:
        yield Shelf(engine, tmp_path / "recordings")


async def test_recordings_of_every_business_go_after_ninety_days_and_newer_ones_stay(shelf):
    old, others, newer = (
        await shelf.record(91),
        await shelf.record(200, business_id=9),
        await shelf.record(89),
    )

    for _ in range(2):
        assert (await shelf.clean_up()).ending.outcome is Outcome.DONE
        assert (old.exists(), others.exists(), newer.exists()) == (False, False, True)
        assert await shelf.left() == 1


async def test_how_long_they_are_kept_is_the_operator_s_to_say(shelf):
    file = await shelf.record(8)
    shelf.keep_days = 7

    await shelf.clean_up()

    assert not file.exists()


async def test_a_file_that_is_gone_already_is_fine(shelf):
    (await shelf.record(91)).unlink()

    assert (await shelf.clean_up()).ending.outcome is Outcome.DONE
    assert await shelf.left() == 0


async def test_one_bad_file_holds_back_no_other_and_is_tried_again(shelf, monkeypatch):
    monkeypatch.setattr(removing, "AT_ONCE", 2)
    bad = [await shelf.record(300 - number) for number in range(3)]
    good = [await shelf.record(100 - number) for number in range(4)]
    for file in bad:
        shelf.jam(file)

    first = await shelf.clean_up()
    left = await shelf.left()
    for file in bad:
        file.rmdir()
    second = await shelf.clean_up()

    assert (first.ending.outcome, left) == (Outcome.RETRY, 3)
    assert "3 recordings could not be removed" in str(first.ending.reason)
    assert not any(file.exists() for file in good)
    assert (second.ending.outcome, await shelf.left()) == (Outcome.DONE, 0)


async def test_a_run_that_dies_after_a_file_loses_nothing_else_and_the_next_one_goes_on(shelf):
    files = [await shelf.record(200 - number) for number in range(3)]
    dying = DyingFolder(shelf.folder)

    await shelf.clean_up(dying)

    assert [file.exists() for file in files] == [False, True, True]
    assert await shelf.left() == 3
    assert (await shelf.clean_up()).ending.outcome is Outcome.DONE
    assert await shelf.left() == 0


async def test_a_folder_that_is_not_mounted_keeps_every_row(shelf):
    await shelf.record(91)
    away = RecordingFolder(shelf.folder / "elsewhere")

    ended = await shelf.clean_up(away)

    assert ended.ending.outcome is Outcome.RETRY
    assert await shelf.left() == 1


async def test_a_large_backlog_goes_run_by_run_though_its_first_files_are_bad(shelf, monkeypatch):
    monkeypatch.setattr(removing, "AT_ONCE", 2)
    monkeypatch.setattr(cleanup_old_recordings_job, "FILES_A_RUN", 4)
    files = [await shelf.record(300 - number) for number in range(7)]
    for file in files[:4]:
        shelf.jam(file)

    first, second = await shelf.clean_up(), await shelf.clean_up()

    assert (first.ending.outcome, second.ending.outcome) == (Outcome.SNOOZED, Outcome.RETRY)
    assert [file.exists() for file in files[4:]] == [False, False, False]
    assert await shelf.left() == 4
