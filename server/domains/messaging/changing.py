"""Edits and deletions: made to the message that they name, whichever of the two comes first.

Of two edits the one that was made later by the provider's time stays, and a deletion stays for good.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import JSONB

from server.db import Session, text
from server.domains import contacts, media
from server.domains.messaging import inbox, queries
from server.domains.messaging.inbox import StoredEvent
from server.domains.messaging.stored import StoredMessage
from server.ports import ChannelEvent, EventKind, MessageChannel, Sender
from server.queue import Changed

TOO_EARLY = "kept until the message that it changes comes"
OVERTAKEN = "a later change was made already, or the message is another person's"
LONGEST_AGO = datetime.min.replace(tzinfo=UTC)
CHANGE = """
UPDATE message SET text = :text, details = message.details || :details || CASE
    WHEN cast(:details AS jsonb) ? 'edited' AND message.text <> :text THEN jsonb_build_object(
        'earlier', coalesce(message.details -> 'earlier', '[]') || to_jsonb(message.text))
    ELSE '{}' END
FROM conversation
WHERE message.business_id = :business_id AND message.channel_id = :channel_id
  AND message.provider_id = :provider_id AND message.direction = :direction
  AND conversation.id = message.conversation_id
  AND (cast(:contact_id AS uuid) IS NULL OR conversation.contact_id = :contact_id)
  AND NOT message.details ? 'deleted'
  AND (cast(:details AS jsonb) ? 'deleted' OR NOT message.details ? 'changed_at'
       OR cast(message.details ->> 'changed_at' AS timestamptz) <= cast(:at AS timestamptz))
RETURNING message.id, message.conversation_id
"""
# Whoever stores a message holds its conversation, so a change that looks for it waits for them.
LOCK = """
SELECT id FROM conversation WHERE channel_id = :channel_id AND contact_id = :contact_id
ORDER BY id LIMIT 1 FOR UPDATE
"""
KEEP = """
INSERT INTO early_change (inbox_event_id, business_id, channel_id, target_id)
VALUES (:event_id, :business_id, :channel_id, :target_id) ON CONFLICT (inbox_event_id) DO NOTHING
"""
KEPT = """
SELECT inbox_event_id FROM early_change
WHERE business_id = :business_id AND channel_id = :channel_id AND target_id = :target_id
ORDER BY inbox_event_id LIMIT 1000
"""
TAKE = """
DELETE FROM early_change WHERE inbox_event_id IN (
    SELECT inbox_event_id FROM early_change
    WHERE business_id = :business_id AND channel_id = :channel_id AND target_id = :target_id
    ORDER BY inbox_event_id LIMIT 1000)
RETURNING inbox_event_id
"""


async def take_change(session: Session, stored: StoredEvent, event: ChannelEvent) -> None:
    """Make a change, or keep it for the message that it names; taking it again changes nothing."""
    contact_id = await contacts.recognise(session, stored.business_id, customer_of(event))
    await session.execute(text(LOCK), {"channel_id": stored.channel_id, "contact_id": contact_id})
    if event.from_us:
        # Whoever gives a message of ours this id, an answer's own run among them, looks for changes of it.
        await queries.lock_provider_id(session, stored.channel_id, event.target_id or "")
    if not await _make(session, stored, event, contact_id):
        await _keep(session, stored, event)


async def make_early_changes(
    session: Session, channel: MessageChannel, stored: StoredEvent, provider_id: str
) -> None:
    """Make what came before a message that is stored now, in the order in which it was done."""
    for event, told in await _take_early(
        session, channel, stored.business_id, stored.channel_id, provider_id
    ):
        await take_change(session, event, told)


async def make_own_early_changes(
    session: Session, channel: MessageChannel, message: StoredMessage, provider_id: str
) -> None:
    """Make what the owner did on their phone to a message of ours before its id was known here.

    The caller holds the id and maybe no conversation, so no contact is looked for: an id that is ours
    names one message of the channel, and only the business's own phone changes it.
    """
    early = await _take_early(session, channel, message.business_id, message.channel_id, provider_id)
    for event, told in early:
        if not told.from_us or not await _make(session, event, told, None):
            await inbox.close_event(session, event.id, "ignored", OVERTAKEN)


async def _take_early(
    session: Session, channel: MessageChannel, business_id: int, channel_id: UUID, target_id: str
) -> list[tuple[StoredEvent, ChannelEvent]]:
    """Return the changes that waited for a message, in the order of their making; they wait no more."""
    names = {"business_id": business_id, "channel_id": channel_id, "target_id": target_id}
    kept = []
    for row in await session.execute(text(TAKE), names):
        event = await inbox.read_event(session, row.inbox_event_id)
        if event is not None:
            kept.append((event, channel.read(event.payload)))
    return sorted(kept, key=lambda one: one[1].sent_at or LONGEST_AGO)


def takes_back(change: ChannelEvent, message: ChannelEvent) -> bool:
    """Tell whether a customer deletes, by this change, this message of theirs.

    The one may come under a phone and the other under a hidden id: a name that both have proves them one.
    """
    senders = _deleter_and_author(change, message)
    if senders is None:
        return False
    deleter, author = senders
    return deleter.address == author.address or contacts.share_a_name(deleter.identities, author.identities)


def _deleter_and_author(change: ChannelEvent, message: ChannelEvent) -> tuple[Sender, Sender] | None:
    """Return who deletes and who wrote, where a change deletes a customer's message by its id."""
    is_meant = change.kind is EventKind.DELETE and change.target_id == message.provider_id
    if not is_meant or change.from_us or message.from_us or change.sender is None or message.sender is None:
        return None
    return change.sender, message.sender


async def was_taken_back(
    session: Session, channel: MessageChannel, stored: StoredEvent, message: ChannelEvent
) -> bool:
    """Tell whether a customer's message, which is not stored yet, was deleted before it came."""
    names = {
        "business_id": stored.business_id,
        "channel_id": stored.channel_id,
        "target_id": message.provider_id,
    }
    for row in await session.execute(text(KEPT), names):
        kept = await inbox.read_event(session, row.inbox_event_id)
        if kept is None:
            continue
        told = channel.read(kept.payload)
        senders = _deleter_and_author(told, message)
        if takes_back(told, message) or (
            senders is not None and await contacts.are_one(session, stored.business_id, *senders)
        ):
            return True
    return False


def customer_of(event: ChannelEvent) -> Sender:
    """Return the person on the other side; a message of ours does not carry their name."""
    if event.sender is None:
        raise LookupError("way_of lets no event without a sender come here")
    return replace(event.sender, name=None) if event.from_us else event.sender


async def _make(session: Session, stored: StoredEvent, event: ChannelEvent, contact_id: UUID | None) -> bool:
    """Make a change to the message that it names, a contact's where one is given; tell if it was there."""
    is_edit, at = event.kind is EventKind.EDIT, event.sent_at
    details = (
        {"edited": True} | ({"changed_at": at.isoformat()} if at else {}) if is_edit else {"deleted": True}
    )
    changed = (
        await session.execute(
            text(CHANGE).bindparams(bindparam("details", type_=JSONB)),
            {
                "business_id": stored.business_id,
                "channel_id": stored.channel_id,
                "contact_id": contact_id,
                "provider_id": event.target_id or "",
                "direction": "out" if event.from_us else "in",
                "text": event.text if is_edit else None,
                "details": details,
                "at": at,
            },
        )
    ).first()
    if changed is None:
        return False
    if event.kind is EventKind.DELETE:
        await media.forget(session, changed.id)
    await inbox.close_event(session, stored.id, "done", message_id=changed.id)
    session.outbox.append(Changed(stored.business_id, "conversation", changed.conversation_id))
    return True


async def _keep(session: Session, stored: StoredEvent, event: ChannelEvent) -> None:
    target_id = event.target_id or ""
    if await queries.find_message(session, stored.channel_id, target_id) is not None:
        await inbox.close_event(session, stored.id, "ignored", OVERTAKEN)
        return
    await session.execute(
        text(KEEP),
        {
            "event_id": stored.id,
            "business_id": stored.business_id,
            "channel_id": stored.channel_id,
            "target_id": target_id,
        },
    )
    await inbox.close_event(session, stored.id, "ignored", TOO_EARLY)
