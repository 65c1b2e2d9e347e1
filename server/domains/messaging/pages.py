"""What pages show of conversations: read only, always of the transaction's business."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from server.db import Session, text
from server.domains.messaging import windows
from server.domains.messaging.attachments import Attached, read_attached
from server.domains.messaging.reopening import find_hold
from server.domains.messaging.suggesting import IS_FRESH
from server.queue import Asked, Changed
from server.queue.catalog import WebhookProcess
from server.queue.holds import Hold

LONGEST_SOUGHT = 100
# Reading what was said takes a fifth of a millisecond a conversation, where nothing is found.
MOST_SEARCHED = 3_000


@dataclass(frozen=True)
class ConversationRow:
    """One line of the inbox; `answering` is on, paused or off.

    `taken_by` names who took it over, where that was a member; `unread` counts what nobody has opened.
    """

    id: UUID
    contact_id: UUID
    name: str | None
    phone: str | None
    answering: str
    needs_person: bool
    last_message_at: datetime
    last_author: str | None
    last_kind: str | None
    last_text: str | None
    last_status: str | None
    paused_until: datetime | None = None
    taken_by: str | None = None
    unread: int = 0


@dataclass(frozen=True)
class Desk:
    """What whoever writes in a conversation needs to know: the newest of a customer's, the window, a draft.

    `window_closes_at` is None on a channel without a window, and where it never opened; `hold` says why
    nothing goes out on the channel, None where things do.
    """

    channel_id: UUID
    has_window: bool
    window_is_open: bool
    window_closes_at: datetime | None
    is_unreachable: bool
    needs_approval: bool | None
    suggestion_id: UUID | None
    suggestion: str | None
    hold: Hold | None


class Show(StrEnum):
    """Which conversations the inbox lists."""

    ALL = "all"
    NEEDS_PERSON = "needs"
    MINE = "mine"
    UNREAD = "unread"
    PAUSED = "paused"


@dataclass(frozen=True)
class Sieve:
    """Which conversations are wanted, and by whom; `sought` is a name, a phone or words that were said."""

    show: Show = Show.ALL
    sought: str = ""
    user_id: UUID | None = None


@dataclass(frozen=True)
class MessageRow:
    """One bubble; `sources` are the knowledge entries an answer was made from.

    A letter is what somebody asked for, who may ask for it again; an answer belongs to its event.
    """

    id: UUID
    position: int
    direction: str
    author: str
    kind: str
    text: str | None
    details: Mapping[str, Any]
    sources: Sequence[Any]
    status: str
    status_reason: str | None
    created_at: datetime
    provider_id: str | None = None
    is_letter: bool = False


@dataclass(frozen=True)
class ConversationPage:
    """A conversation with its newest messages, oldest first, and what hangs on some of them."""

    conversation: ConversationRow
    messages: Sequence[MessageRow]
    desk: Desk
    attached: Mapping[UUID, Attached] = field(default_factory=dict)


@dataclass(frozen=True)
class Addressee:
    """A customer: whom a message of ours is for, or whose message came in."""

    conversation_id: UUID
    name: str | None


@dataclass(frozen=True)
class Journey:
    """How far one event of a customer came: a moment for each thing that has happened."""

    event_id: UUID
    provider_event_id: str
    event_state: str
    event_reason: str | None
    conversation_id: UUID | None
    received_at: datetime
    job_state: str | None
    enqueued_at: datetime | None
    dispatched_at: datetime | None
    due_at: datetime | None
    attempts: int
    started_at: datetime | None
    drafted_at: datetime | None
    effect_state: str | None
    sent_at: datetime | None
    answer_status: str | None
    answer_status_at: datetime | None
    answer_reason: str | None


CONVERSATIONS = """
SELECT conversation.id, contact.id AS contact_id, contact.name, phone.value AS phone,
       CASE WHEN NOT conversation.ai_enabled OR NOT business.ai_enabled THEN 'off'
            WHEN conversation.ai_paused_until > now() THEN 'paused' ELSE 'on' END AS answering,
       conversation.needs_person, conversation.last_message_at,
       last.author AS last_author, last.kind AS last_kind, left(last.text, 200) AS last_text,
       last.status AS last_status, conversation.ai_paused_until AS paused_until,
       taker.name AS taken_by, unread.amount AS unread
FROM conversation
JOIN business ON business.id = conversation.business_id
JOIN contact ON contact.id = conversation.contact_id
LEFT JOIN LATERAL (
    SELECT value FROM contact_identity
    WHERE contact_id = contact.id AND kind = 'phone' ORDER BY created_at, value LIMIT 1) AS phone ON true
LEFT JOIN LATERAL (
    SELECT author, kind, text, status FROM message
    WHERE conversation_id = conversation.id ORDER BY position DESC LIMIT 1) AS last ON true
LEFT JOIN user_account AS taker ON taker.id = conversation.taken_by
LEFT JOIN LATERAL (
    SELECT count(*) AS amount FROM (
        SELECT FROM message WHERE conversation_id = conversation.id AND direction = 'in'
           AND position > conversation.read_position AND kind <> 'reaction' LIMIT 100) AS new) AS unread
ON true
"""
# What is sought is compared as it is written: a percent sign is a percent sign.
SIEVED = """
WHERE conversation.business_id = :business_id
  AND (:show <> 'needs' OR conversation.needs_person)
  AND (:show <> 'mine' OR conversation.taken_by = cast(:user_id AS uuid))
  AND (:show <> 'unread' OR unread.amount > 0)
  AND (:show <> 'paused' OR NOT conversation.ai_enabled OR conversation.ai_paused_until > now())
  AND (:sought = '' OR strpos(lower(contact.name), lower(:sought)) > 0
       OR :digits <> '' AND EXISTS (SELECT FROM contact_identity WHERE contact_id = contact.id
            AND kind = 'phone' AND strpos(value, :digits) > 0)
       OR conversation.last_message_at >= (SELECT min(newest.last_message_at) FROM (
            SELECT last_message_at FROM conversation WHERE business_id = :business_id
            ORDER BY last_message_at DESC LIMIT :most_searched) AS newest)
          AND EXISTS (SELECT FROM (SELECT message.text FROM message WHERE conversation_id = conversation.id
            ORDER BY position DESC LIMIT 200) AS said WHERE strpos(lower(said.text), lower(:sought)) > 0))
ORDER BY conversation.last_message_at DESC, conversation.id LIMIT :limit
"""
# The window as `windows` computes it; the newest draft that is not too late.
DESK = f"""
SELECT conversation.channel_id, channel.kind AS channel_kind, conversation.needs_approval,
       coalesce(conversation.unreachable_at > conversation.last_message_at - interval '1 second'
                AND conversation.unreachable_at > (SELECT max(created_at) FROM message
                    WHERE conversation_id = conversation.id AND direction = 'in'), false) AS is_unreachable,
       suggestion.id AS suggestion_id, suggestion.text AS suggestion
FROM conversation JOIN channel ON channel.id = conversation.channel_id
LEFT JOIN suggestion ON suggestion.conversation_id = conversation.id AND {IS_FRESH}
WHERE conversation.id = :conversation_id ORDER BY suggestion.created_at DESC LIMIT 1
"""  # noqa: S608 -- composed of constants
# The cast lets one statement serve both the first page and those after it.
LIST = """
WHERE conversation.business_id = :business_id
  AND (cast(:before AS timestamptz) IS NULL OR conversation.last_message_at < :before)
ORDER BY conversation.last_message_at DESC, conversation.id LIMIT :limit
"""
HAS = "SELECT EXISTS (SELECT FROM conversation WHERE id = live_conversation(:id))"
MARK_READ = """
UPDATE conversation SET read_position = newest.position FROM (
    SELECT max(position) AS position FROM message WHERE conversation_id = :conversation_id) AS newest
WHERE conversation.id = :conversation_id AND conversation.business_id = :business_id
  AND newest.position > conversation.read_position
RETURNING conversation.id
"""
ONE = "WHERE conversation.id = live_conversation(:conversation_id) ORDER BY conversation.id LIMIT 1"
# A reaction is shown under its message; by itself only where we do not have that one.
MESSAGES = """
SELECT id, position, direction, author, kind, text, details, sources, status, status_reason, created_at,
       provider_id, coalesce(effect_key LIKE 'message:%', false) AS is_letter
FROM message
WHERE conversation_id = live_conversation(:conversation_id)
  AND (kind <> 'reaction' OR text <> '' AND NOT EXISTS (
    SELECT FROM message AS target WHERE target.business_id = message.business_id
    AND target.channel_id = message.channel_id AND target.provider_id = message.details ->> 'target'))
ORDER BY position DESC LIMIT :limit
"""
# An event that was not looked at yet may turn out to be a receipt or an echo of ours: the first is
# told by its id, the second by a message of ours that already has it.
NEWEST_EVENT = """
SELECT event.id, event.business_id FROM inbox_event AS event
LEFT JOIN message ON message.id = event.message_id
WHERE event.business_id = :business_id AND (message.direction = 'in' OR (
    message.id IS NULL AND event.state = 'stored' AND event.event_id NOT LIKE 'status:%'
    AND NOT EXISTS (SELECT FROM message AS ours WHERE ours.business_id = event.business_id
                      AND ours.channel_id = event.channel_id AND ours.provider_id = event.event_id)))
ORDER BY event.received_at DESC, message.position DESC NULLS FIRST, event.id LIMIT 1
"""
NEWEST_EVENT_OF = """
SELECT event.id, event.business_id FROM message
JOIN inbox_event AS event ON event.business_id = message.business_id
 AND event.channel_id = message.channel_id AND event.event_id = message.provider_id
WHERE message.conversation_id = :conversation_id AND message.direction = 'in'
ORDER BY message.position DESC LIMIT 1
"""
JOURNEY = """
SELECT event.id AS event_id, event.event_id AS provider_event_id, event.state AS event_state,
       event.reason AS event_reason, message.conversation_id, event.received_at,
       job.state AS job_state, job.created_at AS enqueued_at, job.dispatched_at, job.due_at,
       coalesce(job.attempts, 0) AS attempts,
       (SELECT min(started_at) FROM job_attempt WHERE job_id = job.id) AS started_at,
       answer.created_at AS drafted_at, effect.state AS effect_state,
       CASE WHEN effect.state IN ('sent', 'confirmed') THEN coalesce(effect.settled_at, effect.sending_at)
            END AS sent_at,
       answer.status AS answer_status, answer.status_at AS answer_status_at,
       answer.status_reason AS answer_reason
FROM inbox_event AS event
LEFT JOIN message ON message.id = event.message_id
LEFT JOIN job ON job.id = :job_id
LEFT JOIN message AS answer ON answer.answers_message_id = message.id
LEFT JOIN effect ON effect.key = answer.effect_key
WHERE event.id = :event_id ORDER BY event.id LIMIT 1
"""

ADDRESSEES = """
SELECT message.effect_key, message.conversation_id, contact.name FROM message
JOIN conversation ON conversation.id = message.conversation_id
JOIN contact ON contact.id = conversation.contact_id
WHERE message.effect_key = ANY(cast(:keys AS text[])) ORDER BY message.effect_key LIMIT :limit
"""
CUSTOMERS = """
SELECT event.id, message.conversation_id, contact.name FROM inbox_event AS event
JOIN message ON message.id = event.message_id
JOIN conversation ON conversation.id = message.conversation_id
JOIN contact ON contact.id = conversation.contact_id
WHERE event.id = ANY(cast(:ids AS uuid[])) ORDER BY event.id LIMIT :limit
"""


async def list_conversations(
    session: Session, business_id: int, limit: int = 50, before: datetime | None = None
) -> list[ConversationRow]:
    """Return the inbox's lines, the newest first; `before` is where the page above ended."""
    rows = await session.execute(
        text(CONVERSATIONS + LIST), {"business_id": business_id, "limit": limit, "before": before}
    )
    return [_conversation(row) for row in rows]


async def sieve_conversations(
    session: Session, business_id: int, sieve: Sieve, limit: int = 50
) -> list[ConversationRow]:
    """Return the newest lines of the inbox that pass a sieve.

    Names and phones are sought in all, words in the newest 200 messages of the newest MOST_SEARCHED.
    """
    names = {
        "business_id": business_id,
        "show": sieve.show.value,
        "user_id": sieve.user_id,
        "sought": sieve.sought[:LONGEST_SOUGHT].replace("\x00", ""),
        "digits": "".join(letter for letter in sieve.sought if letter.isdecimal())[-9:],
        "limit": limit,
        "most_searched": MOST_SEARCHED,
    }
    rows = await session.execute(text(CONVERSATIONS + SIEVED), names)
    return [_conversation(row) for row in rows]


async def read_desk(session: Session, conversation_id: UUID) -> Desk:
    """Return what whoever writes in a conversation needs to know."""
    row = (await session.execute(text(DESK), {"conversation_id": conversation_id})).one()
    length = windows.LENGTHS.get(row.channel_kind)
    window = None if length is None else await windows.read(session, conversation_id, length)
    return Desk(
        channel_id=row.channel_id,
        has_window=window is not None,
        window_is_open=window is None or window.is_open,
        window_closes_at=None if window is None else window.closes_at,
        is_unreachable=row.is_unreachable,
        needs_approval=row.needs_approval,
        suggestion_id=row.suggestion_id,
        suggestion=row.suggestion,
        hold=await find_hold(session, row.channel_id),
    )


async def has_conversation(session: Session, conversation_id: UUID) -> bool:
    """Tell whether this transaction's business has a conversation, maybe as part of another by now."""
    return bool(await session.scalar(text(HAS), {"id": conversation_id}))


async def mark_read(session: Session, business_id: int, conversation_id: UUID) -> None:
    """Note that somebody of the business has seen all that a conversation holds."""
    names = {"conversation_id": conversation_id, "business_id": business_id}
    if (await session.execute(text(MARK_READ), names)).first() is not None:
        session.outbox.append(Changed(business_id, "conversation", conversation_id))


async def read_conversation(
    session: Session, conversation_id: UUID, limit: int = 100
) -> ConversationPage | None:
    """Return a conversation, or None when this transaction's business has no such one."""
    row = (await session.execute(text(CONVERSATIONS + ONE), {"conversation_id": conversation_id})).first()
    if row is None:
        return None
    found = await session.execute(text(MESSAGES), {"conversation_id": conversation_id, "limit": limit})
    messages = [MessageRow(**message._mapping) for message in found]  # noqa: SLF001 -- SQLAlchemy's public name
    attached = await read_attached(session, [message.id for message in messages])
    desk = await read_desk(session, row.id)
    return ConversationPage(_conversation(row), messages[::-1], desk, attached)


async def read_addressees(session: Session, effect_keys: Sequence[str]) -> dict[str, Addressee]:
    """Return, by the key of its effect, whom each of these messages is for."""
    if not effect_keys:
        return {}
    rows = await session.execute(text(ADDRESSEES), {"keys": list(effect_keys), "limit": len(effect_keys)})
    return {row.effect_key: Addressee(row.conversation_id, row.name) for row in rows}


async def read_customers(session: Session, event_ids: Sequence[UUID]) -> dict[UUID, Addressee]:
    """Return who wrote what came with each of these events, where that is known already."""
    if not event_ids:
        return {}
    rows = await session.execute(text(CUSTOMERS), {"ids": list(event_ids), "limit": len(event_ids)})
    return {row.id: Addressee(row.conversation_id, row.name) for row in rows}


async def read_newest_steps(session: Session, business_id: int) -> Journey | None:
    """Return the way of the newest thing a customer wrote, even while nobody has looked at it."""
    event = (await session.execute(text(NEWEST_EVENT), {"business_id": business_id})).first()
    return None if event is None else await _journey(session, event)


async def read_steps(session: Session, conversation_id: UUID) -> Journey | None:
    """Return the way of the newest thing the customer of one conversation wrote."""
    event = (await session.execute(text(NEWEST_EVENT_OF), {"conversation_id": conversation_id})).first()
    return None if event is None else await _journey(session, event)


async def _journey(session: Session, event: Row[Any]) -> Journey | None:
    job_id = Asked(WebhookProcess(event.id), event.business_id).row()["id"]
    row = (await session.execute(text(JOURNEY), {"event_id": event.id, "job_id": job_id})).first()
    return None if row is None else Journey(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name


def _conversation(row: Row[Any]) -> ConversationRow:
    return ConversationRow(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name
