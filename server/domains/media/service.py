"""Bringing files into the storage, from customers and from people, and giving them out again.

A file's row is there before the storage holds anything of it, under the row's own id. So whatever a process
that dies leaves behind is known by a row, and a second run writes over what the first had begun.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from server.db import Database, Session
from server.domains.media import queries
from server.domains.media.models import MediaFile
from server.domains.media.rules import (
    DELETED,
    EMPTY,
    LONGEST_REASON,
    TOO_LARGE,
    Facts,
    Inspection,
    TooLargeError,
    is_fetched,
    kind_to_send,
    limit_of,
    plain_name,
)
from server.domains.media.sniffing import ARCHIVE, OCTETS
from server.errors import BadInputError, ProviderRefusedError
from server.ports import IncomingFile, Outside
from server.queue import enqueue
from server.queue.catalog import LinkFetch, MediaFetch
from server.storages import MediaLimits, MediaStorage, StoredFile

MOST_UNSENT = 200
# What a stranger says goes into a request of ours: no line may end in it.
MIMETYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:; ?[\w-]+=[\w.+-]+)*", re.ASCII)


@dataclass(frozen=True)
class Ended:
    """Why a file does not come: `refused` by us, or `gone` where it was."""

    state: str
    reason: str


async def expect(
    session: Session, business_id: int, message_id: UUID, *, kind: str, details: Mapping[str, Any]
) -> None:
    """Ask for a message's file, where it has one that is fetched; a second time changes nothing."""
    if not is_fetched(kind, details):
        return
    media_id = await queries.insert_file(
        session,
        business_id=business_id,
        message_id=message_id,
        kind=kind,
        file_name=plain_name(details.get("file_name")),
        mimetype_told=details.get("mimetype"),
        duration_s=details.get("duration_s"),
    )
    if media_id is not None:
        await enqueue(session, MediaFetch(media_id), business_id=business_id)


async def expect_link(
    session: Session, business_id: int, message_id: UUID, *, kind: str, file_name: str
) -> None:
    """Ask for the file of a message that is to be sent; its size is held to what its kind may have."""
    media_id = await queries.insert_file(
        session, business_id=business_id, message_id=message_id, kind=kind, file_name=plain_name(file_name)
    )
    if media_id is None:
        raise LookupError("a message that was just made has no file yet")
    await enqueue(session, LinkFetch(media_id), business_id=business_id)


async def link_again(session: Session, business_id: int, message_id: UUID) -> bool:
    """Ask once more for the file of a message that is to be sent; False where none is missing."""
    file = await queries.find_file_of(session, message_id)
    tries = None if file is None else await queries.wait_again(session, file.id)
    if file is None or tries is None:
        return False
    await enqueue(session, LinkFetch(file.id, tries), business_id=business_id)
    return True


async def fetch_again(session: Session, media_id: UUID) -> MediaFile | None:
    """Ask once more for a file that did not come; None where there is none such."""
    tries = await queries.wait_again(session, media_id)
    if tries is None:
        return None
    file = await queries.get_file(session, media_id)
    if file is not None:
        await enqueue(session, MediaFetch(media_id, tries), business_id=file.business_id)
    return file


async def bring(
    outside: Outside, file: MediaFile, incoming: AbstractAsyncContextManager[IncomingFile]
) -> Facts | Ended:
    """Carry a file from its provider to the storage, outside any transaction.

    Raises ProviderDownError, and ProviderUnknownError, where it may be tried again.
    """
    limit = limit_of(file.kind, outside.media_limits)
    inspection = Inspection(limit)
    try:
        async with incoming as opened:
            if opened.size_bytes is not None and opened.size_bytes > limit:
                return Ended("refused", TOO_LARGE)
            file.mimetype_told = file.mimetype_told or opened.mimetype
            chunks = inspection.through(opened.chunks)
            await outside.media.put(file.business_id, file.id, chunks)
    except TooLargeError:
        return Ended("refused", TOO_LARGE)
    except BadInputError:
        return Ended("gone", EMPTY)
    except ProviderRefusedError as error:
        return Ended("gone", str(error)[:LONGEST_REASON])
    return inspection.facts()


async def settle(
    session: Session, file: MediaFile, outcome: Facts | Ended, *, kind: str | None = None
) -> bool:
    """Keep what became of a file, and that it is of a kind; False if nobody waits for it any more."""
    if isinstance(outcome, Ended):
        return await queries.end(session, file.id, outcome.state, outcome.reason)
    return await queries.store(session, file.id, kind or file.kind, outcome, mimetype_told=file.mimetype_told)


async def keep_upload(
    database: Database,
    outside: Outside,
    business_id: int,
    *,
    file_name: str,
    mimetype: str,
    chunks: AsyncIterator[bytes],
) -> MediaFile:
    """Keep a file that a person chose; it goes with the message it is attached to, or after a day.

    Raises TooLargeError, BadInputError `empty` or `too_many`, and ProviderDownError.
    """
    limits = outside.media_limits
    inspection = Inspection(limits.document_bytes)
    async with database.transaction(business_id) as session:
        if await queries.count_unsent(session, business_id, limit=MOST_UNSENT) >= MOST_UNSENT:
            raise BadInputError("too_many", f"{MOST_UNSENT} files wait to be sent: send some of them first.")
        media_id = await queries.insert_file(
            session,
            business_id=business_id,
            kind="document",
            is_held=True,
            file_name=plain_name(file_name),
        )
    if media_id is None:
        raise LookupError("a file without a message clashes with none")
    await outside.media.put(business_id, media_id, inspection.through(chunks))
    facts = inspection.facts()
    async with database.transaction(business_id) as session:
        await queries.store(
            session, media_id, kind_to_send(facts, limits), facts, mimetype_told=mimetype[:200]
        )
        file = await queries.get_file(session, media_id)
    if file is None:
        raise LookupError("a file that was just kept cannot be seen")
    return file


async def forget(session: Session, message_id: UUID) -> None:
    """Show the file of a deleted message no longer; it goes when the storage is cleaned up."""
    await queries.forget_of(session, message_id, DELETED)


@asynccontextmanager
async def opened(storage: MediaStorage, file: MediaFile) -> AsyncIterator[StoredFile]:
    """Read a stored file, chunk by chunk; BadInputError `media_gone` where the storage has it no more."""
    async with AsyncExitStack() as stack:
        try:
            stored = await stack.enter_async_context(storage.open(file.business_id, file.id))
        except KeyError:
            raise BadInputError("media_gone", "The file is not there any more: choose it again.") from None
        yield stored


def sent_as(file: MediaFile) -> str:
    """Return the type that a provider is told: what the bytes say, where they say it."""
    if file.mimetype in {None, OCTETS, ARCHIVE}:
        told = file.mimetype_told or OCTETS
        return told if MIMETYPE.fullmatch(told) else OCTETS
    return file.mimetype or OCTETS


def allowed_bytes(limits: MediaLimits) -> int:
    """Return how large a file that a person sends may be."""
    return limits.document_bytes
