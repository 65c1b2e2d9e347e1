"""The SQL of the inbox: events as they came, those that wait, those that are old."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select

from server.db import Session, text
from server.domains.messaging.models import InboxEvent


@dataclass(frozen=True)
class StoredEvent:
    """An event of the inbox with the kind of channel that can read it."""

    id: UUID
    business_id: int
    channel_id: UUID
    channel_kind: str
    payload: Mapping[str, Any]
    state: str
    reason: str | None
    lane: str


EVENTS = """
SELECT event.id, event.business_id, event.channel_id, channel.kind AS channel_kind, event.payload,
       event.state, event.reason, event.lane
FROM inbox_event AS event JOIN channel ON channel.id = event.channel_id
"""
READ = f"{EVENTS} WHERE event.id = :id ORDER BY event.id LIMIT 1"
NAMED = f"""
{EVENTS} WHERE event.channel_id = :channel_id AND event.event_id = ANY (:event_ids)
ORDER BY event.received_at, event.id LIMIT :limit
"""
CLOSE = """
UPDATE inbox_event SET state = :state, reason = :reason, processed_at = now(),
                       message_id = coalesce(:message_id, message_id)
WHERE id = :id
"""
NOTE = "UPDATE inbox_event SET reason = :reason WHERE id = :id AND state = 'stored'"
# What comes after a message in its contact's chats. The order of a lane is the order of its jobs. Under
# another name all comes after it that is not stored yet, whenever it arrived, for it will be stored after it:
# one order for both, or each of two lines could be left to the other. A message that was given up does not
# count as newer by being stored.
WAITING = """
SELECT event.id, event.business_id, event.channel_id, channel.kind AS channel_kind, event.payload,
       event.state, event.reason, event.lane
FROM job
JOIN inbox_event AS event ON event.id = (job.payload ->> 'event_id')::uuid
JOIN channel ON channel.id = event.channel_id
WHERE job.lane = ANY (:lanes) AND job.state IN ('ready', 'running') AND job.kind = 'webhook_process_job'
  AND CASE WHEN job.lane = :lane THEN job.seq > (SELECT seq FROM job WHERE id = :job_id)
      ELSE event.state = 'stored' AND (event.message_id IS NULL OR EXISTS (
          SELECT FROM message WHERE message.id = event.message_id AND message.details ? 'given_up'
                                AND message.position > :position)) END
ORDER BY job.seq LIMIT :limit
"""

# A row that its settings page wrote stands for the business; the default is the caller's.
EXPECT = """
UPDATE inbox_event SET message_id = :message_id WHERE id = :id
RETURNING coalesce((SELECT quiet_s FROM business_assistant AS wanted
                    WHERE wanted.business_id = inbox_event.business_id), cast(:quiet_s AS float8)) AS quiet_s,
          extract(epoch FROM clock_timestamp() - received_at)::float8 AS age_s
"""
ANSWERED = """
UPDATE inbox_event SET state = 'done', reason = NULL, processed_at = now()
FROM message WHERE message.id = :message_id AND inbox_event.business_id = message.business_id
  AND inbox_event.channel_id = message.channel_id AND inbox_event.event_id = message.provider_id
  AND inbox_event.state = 'stored'
"""


async def read_event(session: Session, event_id: UUID) -> StoredEvent | None:
    """Return an event, or None once it was forgotten."""
    row = (await session.execute(text(READ), {"id": event_id})).first()
    return None if row is None else _event(row)


async def list_waiting(
    session: Session, lanes: Sequence[str], *, lane: str, job_id: str, position: int, limit: int = 100
) -> list[StoredEvent]:
    """Return the events of these lanes that come after a message, the first to arrive first.

    `lane` and `job_id` are where the message's own job stands, `position` where it is stored.
    """
    asked = {"lanes": list(lanes), "lane": lane, "job_id": job_id, "position": position, "limit": limit}
    rows = await session.execute(text(WAITING), asked)
    return [_event(row) for row in rows]


async def list_events(session: Session, channel_id: UUID, event_ids: Sequence[str]) -> list[StoredEvent]:
    """Return those of these events of a channel that have come, by the provider's ids."""
    names = {"channel_id": channel_id, "event_ids": list(event_ids), "limit": len(event_ids)}
    return [_event(row) for row in await session.execute(text(NAMED), names)]


async def expect_answer(session: Session, event_id: UUID, message_id: UUID, quiet: timedelta) -> float:
    """Note which message an event became that is to be answered, and return in how many seconds.

    That is once the event is older than its business's quiet; `quiet` counts for a business that set none.
    """
    asked = {"id": event_id, "message_id": message_id, "quiet_s": quiet.total_seconds()}
    row = (await session.execute(text(EXPECT), asked)).one()
    return float(min(max(row.quiet_s - row.age_s, 0.0), row.quiet_s))


async def close_event(
    session: Session, event_id: UUID, state: str, reason: str | None = None, *, message_id: UUID | None = None
) -> None:
    """Note that nothing more follows from an event; state is done, ignored or unreadable.

    `message_id` is the message that it became, or that it is about; without one what was noted stays.
    """
    told = {"id": event_id, "state": state, "reason": reason, "message_id": message_id}
    await session.execute(text(CLOSE), told)


async def note_event(session: Session, event_id: UUID, reason: str) -> None:
    """Note why an event waits: it is not dealt with, and its job may be run again."""
    await session.execute(text(NOTE), {"id": event_id, "reason": reason})


async def close_answered(session: Session, message_id: UUID) -> None:
    """Note that nothing more follows from the event that brought a customer's message."""
    await session.execute(text(ANSWERED), {"message_id": message_id})


async def delete_old_events(session: Session, *, older_than: timedelta, limit: int) -> int:
    """Delete events that were dealt with, or given up with their message kept, long ago; others stay."""
    is_given_up = InboxEvent.message_id.is_not(None) & InboxEvent.reason.is_not(None)
    old = (
        select(InboxEvent.id)
        .where(InboxEvent.received_at < func.now() - older_than, (InboxEvent.state != "stored") | is_given_up)
        .order_by(InboxEvent.received_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = await session.execute(
        delete(InboxEvent)
        .where(InboxEvent.id.in_(old))
        .returning(InboxEvent.id)
        .execution_options(synchronize_session=False)
    )
    return len(rows.all())


def _event(row: Row[Any]) -> StoredEvent:
    return StoredEvent(*tuple(row))
