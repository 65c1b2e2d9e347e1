"""Fetching the file of a message from its channel; the words are shown long before."""

from __future__ import annotations

from uuid import UUID

from server.db import Session
from server.domains import media
from server.domains.messaging import letters, queries
from server.domains.messaging.connecting import find_account
from server.domains.messaging.models import Channel
from server.domains.messaging.stored import StoredMessage
from server.queue import Changed, Run


async def fetch_file(run: Run, media_id: UUID) -> None:
    """Bring a message's file into the storage; one that is there, or that nobody waits for, is left alone.

    Raises ProviderDownError where the channel or the storage is away and it may be tried again.
    """
    async with run.step() as session:
        file = await media.hold(session, media_id)
        if file is None or file.message_id is None:
            return
        message = await queries.get_message(session, file.message_id)
        if message is None:
            return
        channel = await session.get(Channel, message.channel_id)
        account = await find_account(session, message.channel_id, run.outside.open_secret)
    source = message.details.get("media")
    if channel is None or not source:
        outcome: media.Ended | media.Facts = media.Ended("gone", media.UNNAMED)
    else:
        incoming = run.outside.channels[channel.kind].open_file(account, source)
        outcome = await media.bring(run.outside, file, incoming)
    async with run.completing() as session:
        await media.settle(session, file, outcome)
        _show(session, message)


async def give_up_file(session: Session, media_id: UUID) -> None:
    """Let people see that a file did not come, and ask for it again."""
    file = await media.get_file(session, media_id)
    if file is None or file.message_id is None:
        return
    message = await queries.get_message(session, file.message_id)
    if message is not None and await media.end(session, media_id, "gone", media.NOT_FETCHED):
        _show(session, message)


async def ask_for_file_again(session: Session, media_id: UUID) -> UUID | None:
    """Ask once more for a file that did not come; return its conversation, None where there is none."""
    file = await media.get_file(session, media_id)
    message = await queries.get_message(session, file.message_id) if file and file.message_id else None
    if message is None:
        return None
    if message.direction == "out":
        # The message waits for its file: both are asked for again, as one.
        await letters.send_again(session, message.business_id, message.id)
    elif await media.fetch_again(session, media_id) is None:
        return None
    _show(session, message)
    return message.conversation_id


def _show(session: Session, message: StoredMessage) -> None:
    session.outbox.append(Changed(message.business_id, "conversation", message.conversation_id))
