"""Closing the sessions of conversations that went quiet, and forgetting old events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from server.db import Session, text
from server.domains import assistant
from server.domains.messaging import inbox
from server.domains.messaging.rules import SESSION_IDLE
from server.domains.messaging.standing import Line
from server.domains.messaging.telling import turns
from server.queue import Changed, Run

# So many models are asked at once, and so many sessions close in one transaction.
AT_ONCE = 10
LONGEST_SESSION = 200

STALE = """
SELECT stale.id, stale.business_id, conversation_id, opened_at, last_activity_at
FROM conversation_session AS stale
LEFT JOIN business_assistant AS wanted ON wanted.business_id = stale.business_id
WHERE closed_at IS NULL
  AND last_activity_at < now() - coalesce(make_interval(hours => session_idle_h), cast(:idle AS interval))
ORDER BY last_activity_at, stale.id LIMIT :limit
"""
LINES = """
SELECT author, kind, text, created_at FROM message
WHERE conversation_id = :conversation_id AND created_at >= :opened_at AND status <> 'failed'
  AND kind <> 'reaction' AND NOT details ? 'deleted' AND NOT details ? 'history'
ORDER BY position DESC LIMIT :limit
"""
# A customer who wrote in the meantime keeps their session open.
CLOSE = """
UPDATE conversation_session SET closed_at = now(), summary = :summary
WHERE id = :id AND closed_at IS NULL AND last_activity_at = :last_activity_at
"""


@dataclass(frozen=True)
class Stale:
    """A session that nobody wrote in for long."""

    id: UUID
    business_id: int
    conversation_id: UUID
    opened_at: datetime
    last_activity_at: datetime


async def close_stale_sessions(run: Run, *, limit: int, idle: timedelta = SESSION_IDLE) -> int:
    """Close sessions that were quiet for long, each with a summary, the oldest first; at most `limit`.

    `idle` is how long, for a business that did not say it.

    Returns how many were looked at. Safe to run twice, also at once: a session closes once.
    """
    businesses = await run.every_business()
    if not businesses:
        return 0
    async with run.database.transaction(*businesses) as session:
        rows = await session.execute(text(STALE), {"idle": idle, "limit": limit})
        stale = [Stale(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name
    for start in range(0, len(stale), AT_ONCE):
        await _close(run, stale[start : start + AT_ONCE])
    return len(stale)


async def forget_old_events(run: Run, *, older_than_days: int, limit: int) -> int:
    """Delete events that were dealt with and that no sender repeats any more; return how many."""
    businesses = await run.every_business()
    if not businesses:
        return 0
    async with run.step(*businesses) as session:
        return await inbox.delete_old_events(session, older_than=timedelta(days=older_than_days), limit=limit)


async def _close(run: Run, stale: Sequence[Stale]) -> None:
    businesses = sorted({one.business_id for one in stale})
    async with run.database.transaction(*businesses) as session:
        lines = [await _lines(session, one) for one in stale]
        capped = await assistant.capped_businesses(session, businesses)
    summaries = await asyncio.gather(
        *(
            assistant.summarise(None if one.business_id in capped else run.outside.model, turns(said))
            for one, said in zip(stale, lines, strict=True)
        )
    )
    async with run.step(*businesses) as session:
        for one, summary in zip(stale, summaries, strict=True):
            await session.execute(
                text(CLOSE),
                {"id": one.id, "summary": summary.text, "last_activity_at": one.last_activity_at},
            )
            await assistant.note_use(session, one.business_id, summary.spent, purpose="summary")
            session.outbox.append(Changed(one.business_id, "conversation", one.conversation_id))


async def _lines(session: Session, stale: Stale) -> list[Line]:
    rows = await session.execute(
        text(LINES),
        {
            "conversation_id": stale.conversation_id,
            "opened_at": stale.opened_at,
            "limit": LONGEST_SESSION,
        },
    )
    return [Line(row.author, row.kind, row.text, row.created_at) for row in rows][::-1]
