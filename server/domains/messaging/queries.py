"""The SQL of conversations and of what is said in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, func, update

from server.db import Session, text
from server.domains.messaging import announcing
from server.domains.messaging.models import Conversation
from server.domains.messaging.stored import COLUMNS, StoredMessage, message_of


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


SAID = ", ".join(one.name for one in fields(Said))
SAID_VALUES = ", ".join(f":{one.name}" for one in fields(Said))
# `updated` is locked by this statement, so what is stored in a conversation commits in its order.
OPEN_CONVERSATION = """
WITH opened AS (
    INSERT INTO conversation (business_id, channel_id, contact_id, address, last_message_at)
    VALUES (:business_id, :channel_id, :contact_id, :address, least(cast(:at AS timestamptz), now()))
    ON CONFLICT (channel_id, contact_id) DO UPDATE
    SET address = CASE WHEN :keeps_address THEN conversation.address ELSE excluded.address END,
        last_message_at = greatest(conversation.last_message_at, excluded.last_message_at)
    RETURNING id, business_id
), touched AS (
    INSERT INTO conversation_session (business_id, conversation_id)
    SELECT business_id, id FROM opened WHERE :in_session
    ON CONFLICT (conversation_id) WHERE closed_at IS NULL DO UPDATE SET last_activity_at = now())
SELECT id FROM opened
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
# Of a channel's message that is stored already there is none.
INSERT_MESSAGE = f"""
WITH new AS (
    INSERT INTO message ({SAID}) VALUES ({SAID_VALUES})
    ON CONFLICT (business_id, channel_id, provider_id) WHERE provider_id IS NOT NULL DO NOTHING
    RETURNING {COLUMNS})
SELECT {COLUMNS}, EXISTS (
    SELECT FROM early_change AS early
    WHERE early.business_id = new.business_id AND early.channel_id = new.channel_id
      AND early.target_id = new.provider_id) AS has_early
FROM new
"""  # noqa: S608 -- composed of constants
INSERT_REPLY = f"""
INSERT INTO message ({SAID}) VALUES ({SAID_VALUES}) RETURNING {COLUMNS}
"""  # noqa: S608 -- the same
GET_MESSAGE = f"SELECT {COLUMNS} FROM message WHERE id = :id ORDER BY id LIMIT 1"  # noqa: S608 -- the same
FIND_MESSAGE = f"""
SELECT {COLUMNS} FROM message WHERE channel_id = :channel_id AND provider_id = :provider_id
ORDER BY id LIMIT 1
"""  # noqa: S608 -- the same
FIND_REPLY = f"""
SELECT {COLUMNS} FROM message WHERE answers_message_id = :id ORDER BY id LIMIT 1
"""  # noqa: S608 -- the same
UPDATE_SENDING = """
UPDATE message SET provider_id = :provider_id, status = :status, status_reason = :status_reason,
    status_at = CASE WHEN status = :status THEN status_at ELSE now() END
WHERE id = :id
"""
DELETE_MESSAGE = "DELETE FROM message WHERE id = :id"
QUEUE_AGAIN = """
UPDATE message SET status = 'queued', status_reason = NULL, status_at = now()
WHERE id = :id AND status = 'failed'
"""
MARK_GIVEN_UP = """
UPDATE message SET details = details || '{"given_up": true}' WHERE id = :id AND NOT details ? 'given_up'
"""


async def open_conversation(  # noqa: PLR0913 -- what a conversation is opened by
    session: Session,
    business_id: int,
    *,
    channel_id: UUID,
    contact_id: UUID,
    address: str,
    keeps_address: bool,
    at: datetime | None = None,
    in_session: bool = False,
) -> UUID:
    """Return the contact's one conversation on a channel, made if there is none, and lock it.

    `at` is when it was said, None for now. An address that is kept is replaced only if there was none.
    `in_session` opens the conversation's session, or notes that it goes on.
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
                "in_session": in_session,
            },
        )
    ).scalar_one()
    return conversation_id


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


async def insert_message(session: Session, said: Said) -> tuple[StoredMessage, bool] | None:
    """Store a message; return it and whether changes of it came early.

    None when the channel's message of that id is stored already.
    """
    row = (await session.execute(text(INSERT_MESSAGE), _values(said))).first()
    return None if row is None else (StoredMessage(*tuple(row)[:-1]), row.has_early)


async def insert_reply(session: Session, said: Said) -> StoredMessage:
    """Store an answer; a message that is answered already is a bug and raises IntegrityError."""
    return StoredMessage(*tuple((await session.execute(text(INSERT_REPLY), _values(said))).one()))


async def find_message(session: Session, channel_id: UUID, provider_id: str) -> StoredMessage | None:
    """Return a channel's message by the provider's id."""
    names = {"channel_id": channel_id, "provider_id": provider_id}
    return message_of((await session.execute(text(FIND_MESSAGE), names)).first())


async def find_question(session: Session, event_id: UUID) -> Row[Any] | None:
    """Return a customer's message that was stored and not dealt with, with all that answering it takes."""
    return (await session.execute(text(QUESTION), {"event_id": event_id})).first()


async def mark_given_up(session: Session, message_id: UUID) -> None:
    """Note that a message's job was given up: stored late, it must not pass for the customer's newest."""
    await session.execute(text(MARK_GIVEN_UP), {"id": message_id})


async def get_message(session: Session, message_id: UUID) -> StoredMessage | None:
    """Return a message by our own id."""
    return message_of((await session.execute(text(GET_MESSAGE), {"id": message_id})).first())


async def update_sending(session: Session, message: StoredMessage) -> None:
    """Store what a message of ours says of its sending: how far it came, and the provider's id."""
    names = ("id", "provider_id", "status", "status_reason")
    await session.execute(text(UPDATE_SENDING), {name: getattr(message, name) for name in names})


async def delete_message(session: Session, message_id: UUID) -> None:
    """Delete a message that never was one."""
    await session.execute(text(DELETE_MESSAGE), {"id": message_id})


async def find_reply(session: Session, message_id: UUID) -> StoredMessage | None:
    """Return the answer that was drafted for a message, whatever became of it."""
    return message_of((await session.execute(text(FIND_REPLY), {"id": message_id})).first())


async def lock_reply(session: Session, message_id: UUID) -> StoredMessage | None:
    """Return the answer that was drafted for a message, and let no one else change it meanwhile."""
    return message_of((await session.execute(text(FIND_REPLY + " FOR UPDATE"), {"id": message_id})).first())


async def queue_again(session: Session, message_id: UUID) -> None:
    """Show a reply that had been given up as waiting to be sent."""
    await session.execute(text(QUEUE_AGAIN), {"id": message_id})


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
    written = {"details": orjson.dumps(dict(said.details)), "sources": orjson.dumps(list(said.sources))}
    return vars(said) | {name: value.decode() for name, value in written.items()}
