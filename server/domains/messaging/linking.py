"""Files that a program names by their address: fetched before their message is sent, which waits for them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from uuid import UUID

from server.db import Session, text
from server.domains import media
from server.domains.messaging import letters, own, queries
from server.domains.messaging.stored import StoredMessage
from server.ports import DeliveryStatus, IncomingFile, Outside
from server.queue import Run

NOT_HAD = "not sent: its file could not be had"
BECOMES = "UPDATE message SET kind = :kind WHERE id = :message_id AND kind <> 'template'"


async def fetch_link(run: Run, media_id: UUID) -> None:
    """Bring a message's file from its address, then have the message sent, or show why it is not.

    A second run changes nothing. Raises ProviderDownError where the address or the storage is away.
    """
    async with run.step() as session:
        file = await media.hold(session, media_id)
        message = None
        if file is not None and file.message_id is not None:
            message = await queries.get_message(session, file.message_id)
    if file is None or message is None:
        return
    outcome = await media.bring(run.outside, file, _incoming(run.outside, message))
    kind = file.kind
    if isinstance(outcome, media.Facts):
        found = media.kind_of(outcome, run.outside.media_limits, message.details["link"].get("kind"))
        words = None if message.kind == "template" else message.text
        why_not = media.WRONG_KIND if found is None else letters.why_not_with(found, words)
        kind = found or kind
        outcome = media.Ended("refused", why_not) if why_not else outcome
    async with run.completing() as session:
        await queries.lock_conversation(session, message.conversation_id)
        if not await media.settle(session, file, outcome, kind=kind):
            return
        if isinstance(outcome, media.Ended):
            await _fail(session, message.id, outcome.reason)
            return
        await session.execute(text(BECOMES), {"kind": kind, "message_id": message.id})
        await letters.go_on(session, message.business_id, message.id)


async def give_up_link(session: Session, media_id: UUID) -> None:
    """Let people see that a message was not sent, as its file did not come."""
    file = await media.get_file(session, media_id)
    if file is None or file.message_id is None:
        return
    message = await queries.get_message(session, file.message_id)
    if message is None:
        return
    await queries.lock_conversation(session, message.conversation_id)
    if await media.end(session, media_id, "gone", media.NOT_FETCHED):
        await _fail(session, message.id, media.NOT_FETCHED)


async def _fail(session: Session, message_id: UUID, reason: str) -> None:
    message = await queries.get_message(session, message_id)
    if message is None:
        return
    await queries.mark_needs_person(session, message.conversation_id)
    await own.show(session, message, DeliveryStatus.FAILED, f"{NOT_HAD}: {reason}")


def _incoming(outside: Outside, message: StoredMessage) -> AbstractAsyncContextManager[IncomingFile]:
    if outside.links is None:
        raise LookupError("this process was given nobody to fetch files by their addresses")
    return outside.links.open(message.details["link"]["url"], name=str(message.business_id))
