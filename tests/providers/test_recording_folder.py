"""Recordings as files of a folder: removed by id, and nothing beside them."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from server.errors import ProviderDownError
from server.providers.recording_folder import RecordingFolder

KEY = UUID("1b671a64-40d5-491e-99b0-da01ff1f3341")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "recordings" / "6").mkdir(parents=True)
    return tmp_path / "recordings"


async def test_one_file_goes_and_its_neighbours_stay(folder):
    file, neighbour = folder / "6" / str(KEY), folder / "6" / str(uuid4())
    for one in (file, neighbour):
        one.write_bytes(b"wav")

    for _ in range(2):
        await RecordingFolder(folder).remove(6, KEY)

    assert (file.exists(), neighbour.exists()) == (False, True)


async def test_another_business_s_file_of_that_key_is_out_of_reach(folder):
    file = folder / "6" / str(KEY)
    file.write_bytes(b"wav")

    await RecordingFolder(folder).remove(9, KEY)

    assert file.exists()


@pytest.mark.parametrize(
    "key", ["../../secrets.json", "..", "/etc/passwd", "1b671a64-40d5-491e-99b0-da01ff1f3341/../x"]
)
async def test_what_is_no_id_names_no_file(folder, key):
    (folder.parent / "secrets.json").write_text("{}")

    with pytest.raises(ValueError, match="badly formed"):
        await RecordingFolder(folder).remove(6, cast("Any", key))

    assert (folder.parent / "secrets.json").exists()


async def test_a_folder_that_is_away_is_no_reason_to_believe_its_files_gone(tmp_path):
    with pytest.raises(ProviderDownError, match="not there"):
        await RecordingFolder(tmp_path / "away").remove(6, KEY)


async def test_a_file_that_cannot_be_removed_is_said_to_be_there(folder):
    (folder / "6" / str(KEY)).mkdir()

    with pytest.raises(ProviderDownError, match="refuses"):
        await RecordingFolder(folder).remove(6, KEY)
