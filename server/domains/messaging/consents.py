"""What customers say of marketing: in a message of theirs, through their messenger, or by its refusal."""

from __future__ import annotations

from uuid import UUID

from server.db import Session, text
from server.domains import contacts
from server.domains.messaging.inbox import StoredEvent
from server.domains.messaging.stored import StoredMessage
from server.ports import ChannelEvent, EventKind

SPOKEN = frozenset({EventKind.TEXT, EventKind.CHOICE})
# What a messenger calls it when a customer ends marketing, or allows it again.
VALUES = {"stop": contacts.WITHDRAWN, "resume": contacts.GRANTED}
CONTACT_OF = "SELECT contact_id FROM conversation WHERE id = :id ORDER BY id LIMIT 1"


async def note_said(session: Session, stored: StoredEvent, event: ChannelEvent, contact_id: UUID) -> None:
    """Note a message that says no to marketing and nothing else, or yes again after a no."""
    value = contacts.consent_in(event.text) if event.kind in SPOKEN else None
    if value is None or (value == contacts.GRANTED and await contacts.may_market(session, contact_id)):
        return
    await contacts.note_consent(
        session,
        contact_id,
        value=value,
        wording=event.text or "",
        source="message",
        key=message_key(stored.id),
        at=event.sent_at,
    )


async def note_told(
    session: Session, stored: StoredEvent, event: ChannelEvent, contact_id: UUID
) -> str | None:
    """Note what a messenger reports of a customer's wish; return why not where it cannot be read."""
    value = VALUES.get(str(event.details.get("value")))
    if value is None:
        return "what it says of consent is not known"
    await contacts.note_consent(
        session,
        contact_id,
        value=value,
        wording=str(event.details.get("category", "")),
        source="provider",
        key=message_key(stored.id),
        at=event.sent_at,
    )
    return None


async def note_refused(session: Session, message: StoredMessage) -> None:
    """Note that a messenger refused a message because its customer wants no marketing."""
    contact_id = await session.scalar(text(CONTACT_OF), {"id": message.conversation_id})
    if contact_id is not None:
        await contacts.note_consent(
            session,
            contact_id,
            value=contacts.WITHDRAWN,
            wording="",
            source="refusal",
            key=f"refusal:{message.id}",
        )


async def confirmation(session: Session, event_id: UUID, said: str | None) -> str | None:
    """Return what answers a message that changed the ledger, and nothing else does; None for any other."""
    value = contacts.consent_in(said)
    if value is None or not await contacts.was_noted(session, message_key(event_id)):
        return None
    return contacts.confirmation(value, said or "")


def message_key(event_id: UUID) -> str:
    """Return the ledger's name for what one event said."""
    return f"event:{event_id}"
