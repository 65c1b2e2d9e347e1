"""Taking one event out of the inbox: what it changes in our books, whether or not it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from server.db import Session
from server.domains import assistant, contacts, media
from server.domains.messaging import announcing, consents, inbox, own, queries, takeover
from server.domains.messaging.changing import customer_of, make_early_changes, take_change
from server.domains.messaging.inbox import StoredEvent
from server.domains.messaging.queries import Said
from server.domains.messaging.refusing import read_report
from server.domains.messaging.rules import (
    GONE_OUT,
    NAMELESS,
    PauseReason,
    Way,
    details_of,
    is_history,
    is_takeover,
    way_of,
    why_set_aside,
)
from server.domains.messaging.stored import StoredMessage
from server.domains.messaging.syncing import ask_for_changed_templates
from server.log import get_logger
from server.ports import ChannelEvent, DeliveryStatus, EventKind, MessageChannel
from server.queue import Changed

log = get_logger(__name__)

LEAD_SOURCE = "whatsapp"
# People write one thought in several lines. Whoever answers waits until no line came for so long;
# the newest line is then answered for all of them. A business can set a time of its own.
QUIET = timedelta(seconds=assistant.QUIET_S)


@dataclass(frozen=True)
class Question:
    """A customer's message that may be answered; `address` is where, word for word as received.

    `quiet_left_s` is how long to wait first: another line may follow.
    """

    event_id: UUID
    business_id: int
    channel_id: UUID
    channel_kind: str
    conversation_id: UUID
    message_id: UUID
    position: int
    kind: EventKind
    address: str
    quiet_left_s: float = 0.0


async def find_question(session: Session, event_id: UUID) -> Question | None:
    """Return what an earlier run that took the event left to be answered, without reading it again."""
    row = await queries.find_question(session, event_id)
    if row is None:
        return None
    return Question(**(dict(row._mapping) | {"kind": EventKind(row.kind)}))  # noqa: SLF001 -- SQLAlchemy's public name


async def take(session: Session, channels: Mapping[str, MessageChannel], event_id: UUID) -> Question | None:
    """Do all that follows from an event except the answer; return what is left to be answered.

    Taking an event again changes nothing: one that was dealt with is left alone, and a message
    that is stored already is found.
    """
    stored = await inbox.read_event(session, event_id)
    if stored is None or stored.state != "stored":
        return None
    try:
        return await _take(session, stored, channels[stored.channel_kind])
    except contacts.NamelessSenderError:
        # Told before anything was written: such an event is kept, and holds back no other.
        await inbox.close_event(session, event_id, "ignored", NAMELESS)
        return None


async def _take(session: Session, stored: StoredEvent, channel: MessageChannel) -> Question | None:
    event = channel.read(stored.payload)
    match way_of(event):
        case Way.UNREADABLE:
            reason = stored.reason or event.details.get("reason") or "it cannot be read"
            log.warning("event_unreadable", event_id=str(stored.id))
            await inbox.close_event(session, stored.id, "unreadable", reason)
        case Way.SET_ASIDE:
            await inbox.close_event(session, stored.id, "ignored", why_set_aside(event))
        case Way.RECEIPT:
            await _take_receipt(session, stored, event, channel)
        case Way.CONSENT:
            await _take_consent(session, stored, event)
        case Way.TEMPLATE:
            await ask_for_changed_templates(session, stored.business_id, stored.channel_id)
            await inbox.close_event(session, stored.id, "done")
        case Way.CHANGE:
            await take_change(session, stored, event)
        case Way.OWN:
            await _take_own(session, stored, event, channel)
        case Way.CUSTOMER:
            return await _take_customer(session, stored, event, channel)
    return None


async def _take_receipt(
    session: Session, stored: StoredEvent, event: ChannelEvent, channel: MessageChannel
) -> None:
    if event.status is DeliveryStatus.FAILED:
        # It may call a person; whoever else locks both has the conversation first.
        await own.lock_conversation_of(session, stored, event.provider_id)
    await queries.lock_provider_id(session, stored.channel_id, event.provider_id)
    message = await own.find_own(session, stored, event.provider_id)
    if message is None and (key := event.details.get("effect_key")):
        # It comes before our own books know the id, or after an answer that never came.
        message = await own.find_by_key(session, stored, key)
        if message is not None:
            await own.learn_provider_id(session, message, event.provider_id, channel)
    if message is None or event.status is None:
        # Should the id become known later, whoever stores it comes back for this event.
        await inbox.close_event(session, stored.id, "ignored", "no message of ours has this id")
        return
    refused = read_report(event.details)
    await own.fold(session, message, event.status, event.details.get("reason"), refused)
    await inbox.close_event(session, stored.id, "done", message_id=message.id)


async def _take_consent(session: Session, stored: StoredEvent, event: ChannelEvent) -> None:
    contact_id = await contacts.recognise(session, stored.business_id, customer_of(event))
    trouble = await consents.note_told(session, stored, event, contact_id)
    await inbox.close_event(session, stored.id, "ignored" if trouble else "done", trouble)


async def _take_own(
    session: Session, stored: StoredEvent, event: ChannelEvent, channel: MessageChannel
) -> None:
    """Tell an echo of ours from what a person typed on the business's phone."""
    if (gone := await _find_gone(session, stored, event)) is not None:
        await inbox.close_event(session, stored.id, "done", message_id=gone.id)
        return
    conversation_id = await _conversation(session, stored, event)
    await queries.lock_provider_id(session, stored.channel_id, event.provider_id)
    ours = await own.find_own(session, stored, event.provider_id)
    if ours is None and event.text:
        ours = await own.find_unconfirmed(session, conversation_id, event.text)
    if ours is None:
        ours = await _store(session, stored, event, conversation_id, channel)
        if is_takeover(event):
            await takeover.hand_to_person(session, conversation_id, PauseReason.PHONE)
        if not is_history(event):
            await announcing.tell_outgoing(session, ours)
    else:
        await own.learn_provider_id(session, ours, event.provider_id, channel)
    await inbox.close_event(session, stored.id, "done", message_id=ours.id)


async def _find_gone(session: Session, stored: StoredEvent, event: ChannelEvent) -> StoredMessage | None:
    """Return the message that an echo names, where it is known to have gone out: it says nothing new.

    An echo that calls the customer by several names may prove that two contacts are one.
    """
    if event.sender is None or len(event.sender.identities) > 1:
        return None
    message = await queries.find_message(session, stored.channel_id, event.provider_id)
    is_gone = message is not None and message.direction == "out" and message.status in GONE_OUT
    return message if is_gone else None


async def _take_customer(
    session: Session, stored: StoredEvent, event: ChannelEvent, channel: MessageChannel
) -> Question | None:
    conversation_id = await _conversation(session, stored, event)
    message = await _store(session, stored, event, conversation_id, channel)
    if not is_history(event):
        await announcing.tell_incoming(session, message)
    if not event.may_be_answered:
        await inbox.close_event(session, stored.id, "done", message_id=message.id)
        return None
    quiet_left_s = await inbox.expect_answer(session, stored.id, message.id, QUIET)
    return Question(
        event_id=stored.id,
        business_id=stored.business_id,
        channel_id=stored.channel_id,
        channel_kind=stored.channel_kind,
        conversation_id=conversation_id,
        message_id=message.id,
        position=message.position,
        kind=event.kind,
        address=customer_of(event).address,
        quiet_left_s=quiet_left_s,
    )


async def _conversation(session: Session, stored: StoredEvent, event: ChannelEvent) -> UUID:
    """Return the conversation that an event belongs to, locked, with its contact and lead in place."""
    customer = customer_of(event)
    contact_id = await contacts.recognise(session, stored.business_id, customer)
    if not event.from_us:
        await contacts.touch_lead(session, contact_id, LEAD_SOURCE)
        await consents.note_said(session, stored, event, contact_id)
    return await queries.open_conversation(
        session,
        stored.business_id,
        channel_id=stored.channel_id,
        contact_id=contact_id,
        address=customer.address,
        keeps_address=event.from_us or is_history(event),
        at=event.sent_at if is_history(event) else None,
        in_session=not (event.from_us or is_history(event)),
    )


async def _store(
    session: Session,
    stored: StoredEvent,
    event: ChannelEvent,
    conversation_id: UUID,
    channel: MessageChannel,
) -> StoredMessage:
    new = await queries.insert_message(
        session,
        Said(
            business_id=stored.business_id,
            conversation_id=conversation_id,
            channel_id=stored.channel_id,
            direction="out" if event.from_us else "in",
            author="person" if event.from_us else "customer",
            kind=event.kind.value,
            text=event.text,
            status="sent" if event.from_us else "received",
            details=details_of(event),
            provider_id=event.provider_id,
            quoted_provider_id=event.quoted_id,
            sent_at=event.sent_at,
        ),
    )
    session.outbox.append(Changed(stored.business_id, "conversation", conversation_id))
    if new is not None:
        message, has_early = new
        await media.expect(
            session, stored.business_id, message.id, kind=event.kind.value, details=event.details
        )
        if has_early:
            await make_early_changes(session, channel, stored, event.provider_id)
            return await queries.get_message(session, message.id) or message
        return message
    known = await queries.find_message(session, stored.channel_id, event.provider_id)
    if known is None:
        raise LookupError("a message that is stored already cannot be seen")
    return known
