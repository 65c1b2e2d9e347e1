"""What others are told of conversations: docs/webhooks.md shows each event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from server.db import Session, text
from server.domains import integrations
from server.domains.messaging.stored import StoredMessage
from server.ports import DeliveryStatus

# One row of a message with whom it was said to; the phone is None where a contact keeps it to themselves.
WHO = """
SELECT contact.id AS contact_id, contact.name, conversation.address, channel.kind AS channel,
       (SELECT value FROM contact_identity
        WHERE contact_id = contact.id AND kind = 'phone' ORDER BY created_at LIMIT 1) AS phone,
       (SELECT id FROM lead WHERE contact_id = contact.id ORDER BY id LIMIT 1) AS lead_id
FROM conversation
JOIN contact ON contact.id = conversation.contact_id
JOIN channel ON channel.id = conversation.channel_id
WHERE conversation.id = :conversation_id ORDER BY conversation.id LIMIT 1
"""
SENT = frozenset({DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.READ})
TOLD_STATUSES = frozenset({DeliveryStatus.DELIVERED, DeliveryStatus.READ, DeliveryStatus.FAILED})


async def tell_incoming(session: Session, message: StoredMessage) -> None:
    """Tell that a customer wrote."""

    async def data() -> Mapping[str, Any]:
        return await _said(session, message, "incoming", "from")

    await integrations.emit(
        session,
        message.business_id,
        "whatsapp_incoming",
        data,
        key=str(message.id),
        subject=str(message.conversation_id),
    )


async def tell_outgoing(session: Session, message: StoredMessage) -> None:
    """Tell that a message of the business went out, whoever wrote it; of one message once."""

    async def data() -> Mapping[str, Any]:
        told = await _said(session, message, "outgoing", "to")
        return told | {"author": message.author, "is_ai_response": message.author == "assistant"}

    await integrations.emit(
        session,
        message.business_id,
        "whatsapp_outgoing",
        data,
        # An echo that was taken for a person's message gives way to ours, under the provider's same id.
        key=f"{message.channel_id} {message.provider_id}" if message.provider_id else str(message.id),
        subject=str(message.conversation_id),
    )


async def tell_status(
    session: Session, message: StoredMessage, before: DeliveryStatus, now: DeliveryStatus, reason: str | None
) -> None:
    """Tell what a new status says: that a message went out, and how far it came."""
    if now in SENT and before not in SENT:
        await tell_outgoing(session, message)
    if now not in TOLD_STATUSES:
        return
    data = {
        "business_id": str(message.business_id),
        "message_id": str(message.id),
        "provider_id": message.provider_id,
        "conversation_id": str(message.conversation_id),
        "status": now.value,
        "reason": reason,
    }
    await integrations.emit(
        session,
        message.business_id,
        "message.status",
        data,
        key=f"{message.id} {now.value}",
        subject=str(message.conversation_id),
    )


async def tell_person_needed(session: Session, conversation_id: UUID, business_id: int, at: datetime) -> None:
    """Tell that a conversation waits for a person since a moment; once for each time that it began to."""

    async def data() -> Mapping[str, Any]:
        return {"business_id": str(business_id)} | await _who(session, conversation_id)

    await integrations.emit(
        session,
        business_id,
        "conversation.needs_person",
        data,
        key=f"{conversation_id} {at.isoformat()}",
        subject=str(conversation_id),
    )


async def _said(session: Session, message: StoredMessage, direction: str, other: str) -> dict[str, Any]:
    who = await _who(session, message.conversation_id)
    return {
        "business_id": str(message.business_id),
        "message_id": str(message.id),
        "provider_id": message.provider_id,
        "direction": direction,
        other: who["phone"],
        "kind": message.kind,
        "message": message.text,
        "sent_at": (message.sent_at or message.created_at).isoformat(),
    } | who


async def _who(session: Session, conversation_id: UUID) -> dict[str, Any]:
    row = (await session.execute(text(WHO), {"conversation_id": conversation_id})).one()
    return {
        "conversation_id": str(conversation_id),
        "channel": row.channel,
        "contact_id": str(row.contact_id),
        "contact_name": row.name,
        "lead_id": None if row.lead_id is None else str(row.lead_id),
        "phone": row.phone,
        "address": row.address,
    }
