"""Who answers a conversation: the assistant, or for a while, or until further notice, a person.

There are two facts and one reading of them. `ai_enabled` false: silent until somebody resumes;
`ai_paused_until`: silent until then. Whoever asks whether the assistant may answer reads both
(`rules.why_silent`), and whoever resumes lifts both.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from server.db import Session
from server.domains.messaging import queries
from server.queue import Changed

PAUSE = """
UPDATE conversation SET ai_paused_until = :until, pause_reason = 'hand', taken_by = :user_id
WHERE id = :conversation_id RETURNING id
"""
STOP = """
UPDATE conversation SET ai_enabled = false, taken_by = :user_id WHERE id = :conversation_id RETURNING id
"""
RESUME = """
UPDATE conversation SET ai_enabled = true, ai_paused_until = NULL, pause_reason = NULL, taken_by = NULL,
                        resumed_at = clock_timestamp(), needs_person = false
WHERE id = :conversation_id RETURNING id
"""


async def pause(
    session: Session, business_id: int, conversation_id: UUID, *, until: datetime | None, user_id: UUID
) -> bool:
    """Keep the assistant silent until a moment, or with None until somebody resumes; False: no such one."""
    statement = STOP if until is None else PAUSE
    await queries.lock_conversation(session, conversation_id)
    changed = await session.scalar(
        text(statement), {"conversation_id": conversation_id, "user_id": user_id, "until": until}
    )
    session.outbox.append(Changed(business_id, "conversation", conversation_id))
    return changed is not None


async def resume(session: Session, business_id: int, conversation_id: UUID) -> bool:
    """Let the assistant answer again what the customer writes from now on; False: no such conversation."""
    await queries.lock_conversation(session, conversation_id)
    changed = await session.scalar(text(RESUME), {"conversation_id": conversation_id})
    session.outbox.append(Changed(business_id, "conversation", conversation_id))
    return changed is not None
