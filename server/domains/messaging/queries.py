"""The SQL of conversations and of what is said in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, exists, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from server.db import Session
from server.domains.messaging import announcing
from server.domains.messaging.models import Conversation, ConversationSession, EarlyChange, Message
from server.ports import DeliveryStatus


@dataclass(frozen=True, kw_only=True)
class Said:
    """A message to be stored."""

    business_id: int
    conversation_id: UUID
    channel_id: UUID
    direction: str
    author: str
    kind: str
    text: str | None
    status: str
    details: Mapping[str, Any] = field(default_factory=dict)
    provider_id: str | None = None
    quoted_provider_id: str | None = None
    answers_message_id: UUID | None = None
    effect_key: str | None = None
    client_key: str | None = None
    sources: Sequence[Mapping[str, str]] = ()
    sent_at: datetime | None = None


# `updated` is locked by this statement, so what is stored in a conversation commits in its order.
OPEN_CONVERSATION = """
INSERT INTO conversation (business_id, channel_id, contact_id, address, last_message_at)
VALUES (:business_id, :channel_id, :contact_id, :address, least(cast(:at AS timestamptz), now()))
ON CONFLICT (channel_id, contact_id) DO UPDATE
SET address = CASE WHEN :keeps_address THEN conversation.address ELSE excluded.address END,
    last_message_at = greatest(conversation.last_message_at, excluded.last_message_at)
RETURNING id
"""
# A customer's message that was stored and not dealt with, with all that answering it takes.
QUESTION = """
SELECT event.id AS event_id, event.business_id, event.channel_id, channel.kind AS channel_kind,
       message.conversation_id, message.id AS message_id, message.position, message.kind, conversation.address
FROM inbox_event AS event
JOIN channel ON channel.id = event.channel_id
JOIN message ON message.id = event.message_id
JOIN conversation ON conversation.id = message.conversation_id
WHERE event.id = :event_id AND event.state = 'stored' AND message.direction = 'in'
  AND NOT message.details ? 'may_be_answered'
ORDER BY event.id LIMIT 1
"""
LOCK_PROVIDER_ID = "SELECT pg_advisory_xact_lock(hashtextextended(:channel || ' ' || :provider_id, 0))"
LOCK = "SELECT id FROM conversation WHERE id = :id ORDER BY id LIMIT 1 FOR UPDATE"
LOCK_LIVE = "SELECT id FROM conversation WHERE id = live_conversation(:id) ORDER BY id LIMIT 1 FOR UPDATE"
MARK_GIVEN_UP = """
UPDATE message SET details = details || '{"given_up": true}' WHERE id = :id AND NOT details ? 'given_up'
"""


async def open_conversation(
    session: Session,
    business_id: int,
    *,
    channel_id: UUID,
    contact_id: UUID,
    address: str,
    keeps_address: bool,
    at: datetime | None,
) -> UUID:
    """Return the contact's one conversation on a channel, made if there is none, and lock it.

    `at` is when it was said, None for now. An address that is kept is replaced only if there was none.
    """
    conversation_id: UUID = (
        await session.execute(
            text(OPEN_CONVERSATION),
            {
                "business_id": business_id,
                "channel_id": channel_id,
                "contact_id": contact_id,
                "address": address,
                "keeps_address": keeps_address,
                "at": at,
            },
        )
    ).scalar_one()
    return conversation_id


async def touch_session(session: Session, business_id: int, conversation_id: UUID) -> None:
    """Open the conversation's session, or note that it goes on."""
    await session.execute(
        upsert(ConversationSession)
        .values(business_id=business_id, conversation_id=conversation_id)
        .on_conflict_do_update(
            index_elements=[ConversationSession.conversation_id],
            index_where=ConversationSession.closed_at.is_(None),
            set_={"last_activity_at": func.now()},
        )
    )


async def lock_conversation(session: Session, conversation_id: UUID) -> None:
    """Let no one else store or decide anything in a conversation until this transaction ends.

    One that was merged into another meanwhile is held as what it became.
    """
    found = await session.execute(text(LOCK), {"id": conversation_id})
    if found.first() is None:
        await session.execute(text(LOCK_LIVE), {"id": conversation_id})


async def lock_provider_id(session: Session, channel_id: UUID, provider_id: str) -> None:
    """Let no one else look for or store this provider id until the transaction ends."""
    names = {"channel": str(channel_id), "provider_id": provider_id}
    await session.execute(text(LOCK_PROVIDER_ID), names)


async def insert_message(session: Session, said: Said) -> tuple[UUID, bool] | None:
    """Store a message; return its id and whether changes of it came early.

    None when the channel's message of that id is stored already.
    """
    early = exists().where(
        EarlyChange.business_id == said.business_id,
        EarlyChange.channel_id == said.channel_id,
        EarlyChange.target_id == said.provider_id,
    )
    row = await session.execute(
        upsert(Message)
        .values(**_values(said))
        .on_conflict_do_nothing(
            index_elements=[Message.business_id, Message.channel_id, Message.provider_id],
            index_where=Message.provider_id.is_not(None),
        )
        .returning(Message.id, early.label("has_early"))
    )
    found = row.first()
    return None if found is None else (found.id, found.has_early)


async def insert_reply(session: Session, said: Said) -> UUID:
    """Store an answer; a message that is answered already is a bug and raises IntegrityError."""
    message_id: UUID = (
        await session.execute(insert(Message).values(**_values(said)).returning(Message.id))
    ).scalar_one()
    return message_id


async def find_message(session: Session, channel_id: UUID, provider_id: str) -> Message | None:
    """Return a channel's message by the provider's id."""
    return await session.scalar(
        select(Message)
        .where(Message.channel_id == channel_id, Message.provider_id == provider_id)
        .order_by(Message.id)
        .limit(1)
    )


async def find_question(session: Session, event_id: UUID) -> Row[Any] | None:
    """Return a customer's message that was stored and not dealt with, with all that answering it takes."""
    return (await session.execute(text(QUESTION), {"event_id": event_id})).first()


async def mark_given_up(session: Session, message_id: UUID) -> None:
    """Note that a message's job was given up: stored late, it must not pass for the customer's newest."""
    await session.execute(text(MARK_GIVEN_UP), {"id": message_id})


async def get_message(session: Session, message_id: UUID) -> Message | None:
    """Return a message by our own id."""
    return await session.get(Message, message_id)


async def name_message(session: Session, message_id: UUID, provider_id: str) -> None:
    """Store the provider's id of a message of ours."""
    await session.execute(update(Message).where(Message.id == message_id).values(provider_id=provider_id))


async def update_status(
    session: Session, message_id: UUID, status: DeliveryStatus, reason: str | None
) -> None:
    """Store how far a message of ours came."""
    await session.execute(
        update(Message)
        .where(Message.id == message_id)
        .values(status=status.value, status_reason=reason, status_at=func.now())
    )


async def delete_message(session: Session, message_id: UUID) -> None:
    """Delete a message that never was one."""
    await session.execute(delete(Message).where(Message.id == message_id))


async def find_reply(session: Session, message_id: UUID) -> Message | None:
    """Return the answer that was drafted for a message, whatever became of it."""
    return await session.scalar(
        select(Message).where(Message.answers_message_id == message_id).order_by(Message.id).limit(1)
    )


async def lock_reply(session: Session, message_id: UUID) -> Message | None:
    """Return the answer that was drafted for a message, and let no one else change it meanwhile."""
    return await session.scalar(
        select(Message)
        .where(Message.answers_message_id == message_id)
        .order_by(Message.id)
        .limit(1)
        .with_for_update()
    )


async def queue_again(session: Session, message_id: UUID) -> None:
    """Show a reply that had been given up as waiting to be sent."""
    await session.execute(
        update(Message)
        .where(Message.id == message_id, Message.status == "failed")
        .values(status="queued", status_reason=None, status_at=func.now())
    )


async def mark_needs_person(session: Session, conversation_id: UUID) -> None:
    """Ask people to look at a conversation; others are told when it begins to wait for them."""
    began = (
        await session.execute(
            update(Conversation)
            .where(
                Conversation.id == func.live_conversation(conversation_id),
                Conversation.needs_person.is_(False),
            )
            .values(needs_person=True)
            .returning(Conversation.id, Conversation.business_id, func.now().label("at"))
        )
    ).first()
    if began is not None:
        await announcing.tell_person_needed(session, began.id, began.business_id, began.at)


def _values(said: Said) -> dict[str, Any]:
    return vars(said) | {"details": dict(said.details), "sources": list(said.sources)}
