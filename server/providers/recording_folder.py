"""Recordings as files of a folder of this machine: one folder a business, one file a recording."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from server.errors import ProviderDownError


class RecordingFolder:
    """A `RecordingStorage`. Names are made of numbers and ids alone, so no name leads out of the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def remove(self, business_id: int, key: UUID) -> None:
        """Remove a file; raise ProviderDownError where the folder is away or refuses.

        A folder that is not there is one that was not mounted: its files are not gone.
        """
        if not self._folder.is_dir():
            raise ProviderDownError("The folder of recordings is not there: check DATA_DIR and its disk.")
        try:
            self._path(business_id, key).unlink(missing_ok=True)
        except OSError as error:
            raise ProviderDownError(
                f"The folder of recordings refuses to remove a file ({error.strerror}): check DATA_DIR."
            ) from error

    def _path(self, business_id: int, key: UUID) -> Path:
        return self._folder / str(int(business_id)) / f"{UUID(str(key))}"
