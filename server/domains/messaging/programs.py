"""What a business's own programs ask to be sent, such as a workflow of n8n."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from server.db import Session, text
from server.domains import contacts
from server.domains.messaging import queries, windows
from server.domains.messaging.connecting import BRIDGE
from server.domains.messaging.filling import require_values
from server.domains.messaging.letters import Letter, Link, TemplateUse, ask_to_send
from server.domains.messaging.templates import check_template
from server.errors import BadInputError
from server.ports import EventKind, IdentityKind, MessageChannel, Sender

CHANNELS = """
SELECT channel.id, channel.kind FROM channel
WHERE channel.business_id = :business_id
  AND (cast(:told AS text) IS NULL OR :told IN (cast(channel.id AS text), channel.kind))
ORDER BY channel.id LIMIT 2
"""
COUNTRY = "SELECT country FROM business WHERE id = :business_id ORDER BY id LIMIT 1"
# Where a contact was talked with last, on the channel that was asked for, if one was.
TALKED = """
SELECT conversation.id FROM conversation JOIN channel ON channel.id = conversation.channel_id
WHERE conversation.business_id = :business_id AND conversation.contact_id = :contact_id
  AND (cast(:told AS text) IS NULL OR :told IN (cast(channel.id AS text), channel.kind))
ORDER BY conversation.last_message_at DESC LIMIT 1
"""
# A program may hold an id from before a merge: it leads to whom it became.
STANDING = """
SELECT conversation.id, conversation.contact_id, channel.kind AS channel
FROM conversation JOIN channel ON channel.id = conversation.channel_id
WHERE conversation.id = live_conversation(:conversation_id) AND conversation.business_id = :business_id
ORDER BY conversation.id LIMIT 1
"""
CONTACT = """
SELECT id FROM contact WHERE id = live_contact(:contact_id) AND business_id = :business_id
ORDER BY id LIMIT 1
"""
STATUS = """
SELECT message.id, message.conversation_id, message.direction, message.status, message.status_reason,
       message.provider_id, message.created_at, message.status_at
FROM message WHERE message.id = :message_id AND message.business_id = :business_id
ORDER BY message.id LIMIT 1
"""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One thing to be sent, to exactly one of a phone, a conversation and a contact.

    `channel` is an id or a kind, needed where a business has several and never talked with them.
    """

    business_id: int
    client_key: str
    to: str | None = None
    conversation_id: UUID | None = None
    contact_id: UUID | None = None
    text: str | None = None
    template: TemplateUse | None = None
    link: Link | None = None
    media_id: UUID | None = None
    channel: str | None = None
    is_marketing: bool = False


@dataclass(frozen=True)
class Placed:
    """What an order became."""

    message_id: UUID
    conversation_id: UUID
    channel: str


@dataclass(frozen=True)
class Standing:
    """How a message stands."""

    id: UUID
    conversation_id: UUID
    direction: str
    status: str
    status_reason: str | None
    provider_id: str | None
    created_at: datetime
    status_at: datetime


async def place_order(session: Session, channels: Mapping[str, MessageChannel], order: Order) -> Placed:
    """Store what a program asks to be sent and ask for its job; the same key again is the same message.

    Raises BadInputError: recipient_missing, bad_phone, channel_missing, channel_unknown,
    conversation_unknown, contact_unknown, window_closed, opted_out, template_invalid, template_impossible,
    or as `ask_to_send` does.
    """
    given = [one for one in (order.to, order.conversation_id, order.contact_id) if one is not None]
    if len(given) != 1:
        raise BadInputError("recipient_missing", "Name one recipient: to, conversation_id or contact_id.")
    conversation_id = order.conversation_id or await _conversation(session, channels, order)
    row = await _standing(session, order.business_id, conversation_id)
    if order.is_marketing and not await contacts.may_market(session, row.contact_id):
        raise BadInputError("opted_out", "This contact wants no marketing: nothing was sent.")
    await _check_window(session, channels[row.channel], row.id, order)
    letter = await _letter(session, order, row)
    message_id = await ask_to_send(session, letter)
    return Placed(message_id, row.id, row.channel)


async def _letter(session: Session, order: Order, row: Row[Any]) -> Letter:
    has_file = order.link is not None or order.media_id is not None
    kind = EventKind.DOCUMENT if has_file else EventKind.TEXT
    letter = Letter(
        business_id=order.business_id,
        conversation_id=row.id,
        client_key=order.client_key,
        text=order.text,
        kind=kind if order.template is None else EventKind.TEMPLATE,
        author="api",
        template=order.template,
        link=order.link,
        media_id=order.media_id,
        details={"marketing": True} if order.is_marketing else {},
    )
    if order.template is None:
        return letter
    require_values(order.template)
    letter = await check_template(session, letter)
    if row.channel == BRIDGE and not letter.text:
        raise BadInputError(
            "template_impossible", "This channel is a bridge, which has no templates: say the words in text."
        )
    return letter


async def read_message(session: Session, business_id: int, message_id: UUID) -> Standing | None:
    """Return how a message of a business stands."""
    names = {"business_id": business_id, "message_id": message_id}
    row = (await session.execute(text(STATUS), names)).first()
    return None if row is None else Standing(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name


async def _conversation(session: Session, channels: Mapping[str, MessageChannel], order: Order) -> UUID:
    """Return the conversation that a phone or a contact is written to, made where there is none."""
    names: dict[str, Any] = {"business_id": order.business_id, "told": order.channel}
    phone = None if order.to is None else await _phone(session, order)
    if phone is None:
        contact_id = await session.scalar(text(CONTACT), names | {"contact_id": order.contact_id})
        if contact_id is None:
            raise BadInputError("contact_unknown", "There is no such contact.")
    else:
        sender = Sender(address=phone, identities={IdentityKind.PHONE: phone})
        contact_id = await contacts.recognise(session, order.business_id, sender)
    talked: UUID | None = await session.scalar(text(TALKED), names | {"contact_id": contact_id})
    if talked is not None:
        return talked
    if phone is None:
        raise BadInputError("conversation_unknown", "Nobody talked with this contact on WhatsApp: use to.")
    channel = await _channel(session, names)
    return await queries.open_conversation(
        session,
        order.business_id,
        channel_id=channel.id,
        contact_id=contact_id,
        address=channels[channel.kind].address_of(phone),
        keeps_address=True,
        at=None,
    )


async def _phone(session: Session, order: Order) -> str:
    country = await session.scalar(text(COUNTRY), {"business_id": order.business_id})
    phone = contacts.normalise_phone(order.to or "", country)
    if phone is None:
        raise BadInputError("bad_phone", "to must be a phone number, such as +972501234567.")
    return phone


async def _channel(session: Session, names: Mapping[str, Any]) -> Row[Any]:
    found = (await session.execute(text(CHANNELS), names)).all()
    if not found:
        raise BadInputError("channel_unknown", "This business has no such channel.")
    if len(found) > 1:
        raise BadInputError("channel_missing", "This business has several channels: name one in channel.")
    return found[0]


async def _standing(session: Session, business_id: int, conversation_id: UUID) -> Row[Any]:
    row = (
        await session.execute(
            text(STANDING), {"business_id": business_id, "conversation_id": conversation_id}
        )
    ).first()
    if row is None:
        raise BadInputError("conversation_unknown", "There is no such conversation.")
    return row


async def _check_window(
    session: Session, channel: MessageChannel, conversation_id: UUID, order: Order
) -> None:
    if channel.window is None or order.template is not None:
        return
    if not (await windows.read(session, conversation_id, channel.window)).is_open:
        raise BadInputError(
            "window_closed", "The customer wrote too long ago for free text: send an approved template."
        )
