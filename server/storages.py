"""What the house asks of the places where files are kept, and what stands in where there is none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


class RecordingStorage(Protocol):
    """Where the files of recordings are; a key is made by us and never by a caller."""

    async def remove(self, business_id: int, key: UUID) -> None:
        """Remove a file; one that is gone is fine. Raise ProviderDownError where it may still be there."""


@dataclass(frozen=True)
class StoredFile:
    """A file that is being read: the size of all of it, and the chunks that were asked for."""

    size_bytes: int
    chunks: AsyncIterator[bytes]


class MediaStorage(Protocol):
    """Where the files of messages are; a key is made by us and never by a caller.

    One contract suite runs against every implementation. Each method raises ProviderDownError where
    the storage is away or refuses: then nothing is known of the file.
    """

    async def put(self, business_id: int, key: UUID, chunks: AsyncIterator[bytes]) -> None:
        """Keep a file: whole and for good once this returns, else not at all. A second time replaces it.

        What `chunks` raises ends it and is passed on. Holds a few chunks in memory, never the file.
        """

    def open(
        self, business_id: int, key: UUID, *, start: int = 0, end: int | None = None
    ) -> AbstractAsyncContextManager[StoredFile]:
        """Read a file from byte `start` up to `end`, which is not included; KeyError where there is none."""

    async def remove(self, business_id: int, key: UUID) -> None:
        """Remove a file, and what a process that died left of it; one that is gone is fine."""


class NoStorage:
    """Stands in for a storage where a process was given none."""

    async def remove(self, business_id: int, key: UUID) -> None:
        """Raise LookupError: nothing can be said of any file."""
        raise LookupError(f"this process was given no storage for recording {key} of business {business_id}")


class NoMedia:
    """Stands in for the storage of media where a process was given none."""

    async def put(self, business_id: int, key: UUID, chunks: AsyncIterator[bytes]) -> None:  # noqa: ARG002 -- the port's shape
        """Raise LookupError: there is nowhere to put it."""
        raise self._missing(business_id, key)

    def open(
        self,
        business_id: int,
        key: UUID,
        *,
        start: int = 0,  # noqa: ARG002 -- the port's shape
        end: int | None = None,  # noqa: ARG002 -- the port's shape
    ) -> AbstractAsyncContextManager[StoredFile]:
        """Raise LookupError: nothing can be said of any file."""
        raise self._missing(business_id, key)

    async def remove(self, business_id: int, key: UUID) -> None:
        """Raise LookupError: nothing can be said of any file."""
        raise self._missing(business_id, key)

    @staticmethod
    def _missing(business_id: int, key: UUID) -> LookupError:
        return LookupError(f"this process was given no storage for file {key} of business {business_id}")


@dataclass(frozen=True)
class MediaLimits:
    """How large a file of each kind may be, in bytes, and how long it is kept; WhatsApp's own limits."""

    image_bytes: int = 5 * 1024 * 1024
    video_bytes: int = 16 * 1024 * 1024
    document_bytes: int = 100 * 1024 * 1024
    sticker_bytes: int = 500 * 1024
    keep_days: int = 365
