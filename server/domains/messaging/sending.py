"""Sending what somebody asked for: the job's side of a letter."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from server.db import Session, text
from server.domains import contacts, media
from server.domains.messaging import own, queries, sendings
from server.domains.messaging.delivering import Parcel, deliver, find_route
from server.domains.messaging.models import Channel, Conversation
from server.domains.messaging.rules import GONE_OUT, NOBODY_KNOWS, why_given_up
from server.domains.messaging.stored import StoredMessage
from server.log import get_logger
from server.ports import (
    ButtonKind,
    ButtonValue,
    DeliveryStatus,
    EventKind,
    Outgoing,
    OutgoingMedia,
    OutgoingReaction,
    OutgoingTemplate,
    OutgoingText,
)
from server.queue import (
    EffectState,
    GivenUp,
    Run,
    abandon_effect,
    find_effect,
    give_up_effects,
    plan_effect,
)
from server.storages import StoredFile

log = get_logger(__name__)

UNWANTED = "not sent: this contact wants no marketing"
CONTACT_OF = "SELECT contact_id FROM conversation WHERE id = :conversation_id ORDER BY id LIMIT 1"


async def send_letter(run: Run, message_id: UUID) -> None:
    """Send a message that somebody asked for, at most once; a second time changes nothing.

    Raises ProviderDownError when the provider took nothing and the job should be tried again.
    """
    async with run.step() as session:
        message = await queries.get_message(session, message_id)
        if message is None or message.effect_key is None or message.status in GONE_OUT:
            return
        parcel = await _parcel(session, message, message.effect_key)
        await queries.queue_again(session, message_id)
        await plan_effect(
            session,
            key=message.effect_key,
            business_id=message.business_id,
            provider=parcel.channel_kind,
            job_id=run.job_id,
        )
        if message.details.get("marketing") and await _call_off_unwanted(session, message):
            return
        file = await media.find_file_of(session, message_id)
    if file is None:
        await _go(run, parcel, _outgoing(message))
        return
    # Opened before the provider is called: a storage that is away says nothing of the channel.
    async with media.opened(run.outside.media, file) as stored:
        await _go(run, parcel, _with_file(message, file, stored))


async def _go(run: Run, parcel: Parcel, outgoing: Outgoing) -> None:
    async with run.step() as session:
        route = await find_route(run, session, parcel, outgoing)
    await deliver(run, parcel, outgoing, route, also=_nothing_more)


async def _call_off_unwanted(session: Session, message: StoredMessage) -> bool:
    """Call off marketing to whoever said no since it was asked for; tell whether that was done."""
    contact_id = await session.scalar(text(CONTACT_OF), {"conversation_id": message.conversation_id})
    if contact_id is None or await contacts.may_market(session, contact_id):
        return False
    await queries.lock_conversation(session, message.conversation_id)
    key = message.effect_key or ""
    locked = await sendings.lock_sending(session, key)
    if locked is None or not await abandon_effect(session, key=key, reason=UNWANTED):
        return False
    await own.show(session, locked, DeliveryStatus.FAILED, UNWANTED)
    return True


async def give_up_letter(session: Session, message_id: UUID, given_up: GivenUp) -> None:
    """Show people a message whose job nobody runs any more; a second time changes nothing."""
    message = await queries.get_message(session, message_id)
    if message is None or message.effect_key is None:
        return
    await queries.lock_conversation(session, message.conversation_id)
    message = await sendings.lock_sending(session, message.effect_key)
    if message is None or message.effect_key is None:
        return
    reason = why_given_up(given_up.state)
    await give_up_effects(session, given_up.job_id, reason=reason)
    found = await find_effect(session, message.effect_key)
    if found is not None and found.result.was_sent:
        return
    is_unknown = found is not None and found.result.state is EffectState.UNKNOWN
    log.warning("letter_given_up", message_id=str(message_id), why=reason)
    await queries.mark_needs_person(session, message.conversation_id)
    told = DeliveryStatus.UNKNOWN if is_unknown else DeliveryStatus.FAILED
    await own.show(session, message, told, NOBODY_KNOWS if is_unknown else reason)


async def _parcel(session: Session, message: StoredMessage, effect_key: str) -> Parcel:
    conversation = await session.get_one(Conversation, message.conversation_id)
    channel = await session.get_one(Channel, message.channel_id)
    return Parcel(
        conversation_id=message.conversation_id,
        channel_id=message.channel_id,
        channel_kind=channel.kind,
        message_id=message.id,
        effect_key=effect_key,
        address=conversation.address,
    )


def _outgoing(message: StoredMessage) -> Outgoing:
    """Return a stored message as a channel sends it."""
    words, details = message.text or "", message.details
    match EventKind(message.kind):
        case EventKind.REACTION:
            return OutgoingReaction(str(details["target"]), words)
        case EventKind.TEMPLATE:
            return _template(message)
        case _:
            return OutgoingText(words, message.quoted_provider_id)


def _template(message: StoredMessage) -> OutgoingTemplate:
    used = message.details["template"]
    return OutgoingTemplate(
        name=used["name"],
        language=used["language"],
        text=message.text or "",
        body=tuple(used["body"]),
        names=tuple(used.get("names", ())),
        header=used.get("header"),
        header_name=used.get("header_name"),
        buttons=[
            ButtonValue(one["index"], ButtonKind(one["kind"]), one["value"])
            for one in used.get("buttons", ())
        ],
    )


def _with_file(message: StoredMessage, file: media.MediaFile, stored: StoredFile) -> Outgoing:
    """Return a message with its file, whose bytes are read as they go."""
    is_template = message.kind == EventKind.TEMPLATE.value
    attached = OutgoingMedia(
        kind=EventKind(message.details["template"]["file_kind"] if is_template else file.kind),
        chunks=stored.chunks,
        size_bytes=stored.size_bytes,
        mimetype=media.sent_as(file),
        file_name=file.file_name or "",
        caption=None if is_template else message.text,
        quoted_id=message.quoted_provider_id,
    )
    return replace(_template(message), file=attached) if is_template else attached


async def _nothing_more(_session: Session) -> None:
    """Write nothing beside what every sending writes."""
