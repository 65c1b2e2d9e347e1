"""How a conversation stands towards one of its messages, and what was said in it: read for an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.db import Session, text
from server.domains.messaging.rules import EARLIER_SESSIONS, LATE, Standing
from server.ports import IdentityKind


@dataclass(frozen=True)
class Line:
    """One line of a conversation, as someone who continues it needs it."""

    author: str
    kind: str
    text: str | None
    stored_at: datetime


@dataclass(frozen=True)
class Known:
    """Whom a conversation is with, and the summaries of its earlier sessions, the newest first.

    `needs_approval` is None where the business's own choice holds for its answers.
    """

    conversation_id: UUID
    contact_id: UUID
    time_zone: str
    needs_approval: bool | None
    summaries: Sequence[str]


# A newer line that was taken back without an answer gets none, and costs no older one its own.
STANDING = """
SELECT business.ai_enabled AS business_answers, conversation.ai_enabled AS conversation_answers,
       coalesce(conversation.ai_paused_until > now(), false) AS is_paused,
       EXISTS (SELECT FROM message AS newer
               WHERE newer.conversation_id = conversation.id AND newer.position > mine.position
                 AND newer.author = 'customer'
                 AND NOT newer.details ?| array['may_be_answered', 'given_up']
                 AND (NOT newer.details ? 'deleted' OR EXISTS (
                     SELECT FROM message AS answer
                     WHERE answer.answers_message_id = newer.id AND answer.status <> 'failed'))
              ) AS is_newer_stored,
       EXISTS (SELECT FROM message AS newer
               WHERE newer.conversation_id = conversation.id AND newer.position > mine.position
                 AND newer.author = 'person' AND newer.kind <> 'reaction') AS is_person_later,
       mine.details ? 'deleted' AS is_withdrawn,
       EXISTS (SELECT FROM message AS newer
               JOIN message AS answer ON answer.answers_message_id = newer.id AND answer.status <> 'failed'
               WHERE newer.conversation_id = conversation.id AND newer.position < mine.position
                 AND newer.author = 'customer'
                 AND newer.sent_at > mine.sent_at + cast(:late AS interval)) AS is_late,
       conversation.contact_id,
       ARRAY(SELECT chat.lane FROM (
                 SELECT cast(:lane AS text) AS lane, (SELECT seq FROM job WHERE id = :job_id) AS seq
                 UNION ALL
                 SELECT conversation.channel_id || ':' || ltrim(name.value, '+') || form.ending, 0
                 FROM contact_identity AS name
                 JOIN unnest(cast(:kinds AS text[]), cast(:endings AS text[])) AS form (kind, ending)
                   ON form.kind = name.kind
                 WHERE name.contact_id = conversation.contact_id
                   AND conversation.channel_id || ':' || ltrim(name.value, '+') || form.ending <> :lane
             ) AS chat
             -- Limited, so that each lane is looked up by itself.
             CROSS JOIN LATERAL (
                 SELECT FROM job
                 WHERE job.lane = chat.lane AND job.state IN ('ready', 'running') AND job.seq > chat.seq
                 ORDER BY job.seq LIMIT 1) AS waiting
            ) AS followed_in
FROM message AS mine
JOIN conversation ON conversation.id = mine.conversation_id
JOIN business ON business.id = conversation.business_id
WHERE mine.id = :message_id ORDER BY mine.id LIMIT 1
"""
HISTORY = """
SELECT author, kind, text, created_at FROM message
WHERE conversation_id = live_conversation(:conversation_id) AND position <= :position AND status <> 'failed'
  AND kind <> 'reaction' AND (position = :position OR NOT details ? 'deleted')
ORDER BY position DESC LIMIT :limit
"""
KNOWN = """
SELECT conversation.id AS conversation_id, conversation.contact_id,
       business.time_zone, conversation.needs_approval,
       ARRAY(SELECT ended.summary FROM conversation_session AS ended
             WHERE ended.conversation_id = conversation.id AND ended.summary IS NOT NULL
             ORDER BY ended.opened_at DESC, ended.id LIMIT :summaries) AS summaries
FROM conversation
JOIN business ON business.id = conversation.business_id
WHERE conversation.id = live_conversation(:conversation_id) ORDER BY conversation.id LIMIT 1
"""
WAS_TOLD = """
SELECT conversation.needs_person AND coalesce((
    SELECT message.details ? 'hands_over' FROM message
    WHERE message.conversation_id = conversation.id AND message.direction = 'out'
      AND message.status <> 'failed' AND message.kind <> 'reaction'
    ORDER BY message.position DESC LIMIT 1), false) AS was_told
FROM conversation WHERE conversation.id = live_conversation(:conversation_id) ORDER BY conversation.id LIMIT 1
"""
# A person has looked since, or the customer has heard something newer of ours.
WENT_ON = """
SELECT EXISTS (
    SELECT FROM message AS later
    WHERE later.conversation_id = mine.conversation_id AND later.position > mine.position
      AND (later.author = 'person' AND later.kind <> 'reaction'
           OR later.author = 'assistant' AND later.status IN ('sent', 'delivered', 'read'))) AS went_on
FROM message AS mine WHERE mine.id = :message_id ORDER BY mine.id LIMIT 1
"""


async def read_standing(
    session: Session,
    message_id: UUID,
    *,
    lane: str | None,
    job_id: str | None,
    lane_endings: Mapping[IdentityKind, str],
) -> Standing:
    """Return how a conversation stands towards one of its messages, whose job has this place in its lane.

    `lane_endings` are its channel's: they tell the lanes of its contact's other names.
    """
    asked = {
        "message_id": message_id,
        "late": LATE,
        "lane": lane,
        "job_id": job_id,
        "kinds": [kind.value for kind in lane_endings],
        "endings": list(lane_endings.values()),
    }
    row = (await session.execute(text(STANDING), asked)).one()
    return Standing(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name


async def read_history(
    session: Session, conversation_id: UUID, *, until_position: int, limit: int
) -> list[Line]:
    """Return what was said up to a message, by everyone, oldest first."""
    rows = await session.execute(
        text(HISTORY), {"conversation_id": conversation_id, "position": until_position, "limit": limit}
    )
    return [Line(row.author, row.kind, row.text, row.created_at) for row in rows][::-1]


async def read_known(session: Session, conversation_id: UUID) -> Known:
    """Return whom a conversation is with, and what earlier sessions of it were about."""
    row = await session.execute(
        text(KNOWN), {"conversation_id": conversation_id, "summaries": EARLIER_SESSIONS}
    )
    return Known(**row.one()._mapping)  # noqa: SLF001 -- SQLAlchemy's public name


async def was_told_to_wait(session: Session, conversation_id: UUID) -> bool:
    """Tell whether the last thing the customer heard is that a person will answer, and nobody did yet."""
    found = await session.scalar(text(WAS_TOLD), {"conversation_id": conversation_id})
    return bool(found)


async def went_on(session: Session, message_id: UUID) -> bool:
    """Tell whether a person wrote after a message of ours, or a later answer is known to have gone out."""
    return bool(await session.scalar(text(WENT_ON), {"message_id": message_id}))
