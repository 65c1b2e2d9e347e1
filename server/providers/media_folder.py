"""Files of messages in a folder of this machine, which the api and the workers share.

A file is written beside its name, brought to the disk, and renamed: under its name it is always whole.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from server.errors import ProviderDownError
from server.storages import StoredFile

CHUNK_BYTES = 256 * 1024
# A disk that is told of so much at a time holds nobody up for long; at the end it would be the whole file.
SYNC_EVERY_BYTES = 4 * 1024 * 1024


class MediaFolder:
    """A `MediaStorage`: one folder a business. Names are numbers and ids alone: none leads out of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, business_id: int, key: UUID, chunks: AsyncIterator[bytes]) -> None:
        """Keep a file: whole and on the disk once this returns, else not at all."""
        path = self._path(business_id, key)
        with _told():
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, part = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                await _write(file, chunks)
            with _told():
                _rename(part, path)
        finally:
            _drop(part)

    @asynccontextmanager
    async def open(
        self, business_id: int, key: UUID, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[StoredFile]:
        """Read a file from byte `start` up to `end`; KeyError where there is none."""
        with _told():
            try:
                file = self._path(business_id, key).open("rb")
            except FileNotFoundError:
                raise KeyError(key) from None
        with file:
            size = os.fstat(file.fileno()).st_size
            file.seek(start)
            yield StoredFile(size, _read(file, (size if end is None else min(end, size)) - start))

    async def remove(self, business_id: int, key: UUID) -> None:
        """Remove a file, and what was begun of it; a folder that is not there is one that was not mounted."""
        if not self._folder.is_dir():
            raise ProviderDownError(
                "The folder of messages' files is not there: check DATA_DIR and its disk."
            )
        path = self._path(business_id, key)
        with _told():
            path.unlink(missing_ok=True)
            for part in path.parent.glob(f"{path.name}.*.part"):
                part.unlink(missing_ok=True)

    def _path(self, business_id: int, key: UUID) -> Path:
        return self._folder / str(int(business_id)) / f"{UUID(str(key))}"


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProviderDownError(
            f"The folder of messages' files cannot be used ({error.strerror}): check DATA_DIR and its disk."
        ) from error


async def _write(file: BinaryIO, chunks: AsyncIterator[bytes]) -> None:
    unsynced = 0
    async for chunk in chunks:
        with _told():
            _write_all(file, chunk)
            unsynced += len(chunk)
            if unsynced >= SYNC_EVERY_BYTES:
                os.fsync(file.fileno())
                unsynced = 0
    with _told():
        os.fsync(file.fileno())


def _write_all(file: BinaryIO, chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:
        left = left[file.write(left) :]


async def _read(file: BinaryIO, length: int) -> AsyncIterator[bytes]:
    while length > 0:
        with _told():
            chunk = file.read(min(CHUNK_BYTES, length))
        if not chunk:
            return
        length -= len(chunk)
        yield chunk


def _drop(part: str) -> None:
    with contextlib.suppress(OSError):
        Path(part).unlink(missing_ok=True)


def _rename(part: str, path: Path) -> None:
    """Give a whole file its name, and bring the name to the disk too."""
    Path(part).replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
