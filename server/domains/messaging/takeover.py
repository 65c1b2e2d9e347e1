"""Who answers a conversation: the assistant, or for a while, or until further notice, a person.

There are two facts and one reading of them. `ai_enabled` false: silent until somebody resumes;
`ai_paused_until`: silent until then. Whoever asks whether the assistant may answer reads both
(`rules.why_silent`), and whoever resumes lifts both.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from server.db import Session, text
from server.domains.messaging import queries
from server.domains.messaging.rules import PauseReason
from server.errors import BadInputError
from server.queue import Changed

PAUSE = """
UPDATE conversation
SET ai_enabled = true, ai_paused_until = :until, pause_reason = 'hand', taken_by = :user_id
WHERE id = :conversation_id RETURNING id
"""
HAND_TO_PERSON = """
UPDATE conversation
SET ai_paused_until = greatest(ai_paused_until, now() + business.takeover_minutes * interval '1 minute'),
    pause_reason = CASE WHEN ai_paused_until > now() + business.takeover_minutes * interval '1 minute'
                        THEN pause_reason ELSE :reason END,
    taken_by = coalesce(cast(:user_id AS uuid), taken_by), needs_person = false
FROM business
WHERE business.id = conversation.business_id AND conversation.id = live_conversation(:conversation_id)
"""
CALL_OFF = "UPDATE conversation SET needs_person = false WHERE id = :conversation_id"
KEEP = "UPDATE business SET takeover_minutes = :minutes WHERE id = :business_id"
READ = "SELECT takeover_minutes FROM business WHERE id = :business_id ORDER BY id LIMIT 1"
LONGEST_MINUTES = 10080
STOP = """
UPDATE conversation SET ai_enabled = false, taken_by = :user_id WHERE id = :conversation_id RETURNING id
"""
CHOOSE = """
UPDATE conversation SET needs_approval = :needs_approval WHERE id = :conversation_id RETURNING id
"""
RESUME = """
UPDATE conversation SET ai_enabled = true, ai_paused_until = NULL, pause_reason = NULL, taken_by = NULL,
                        resumed_at = clock_timestamp(), needs_person = false
WHERE id = :conversation_id RETURNING id
"""


async def hand_to_person(
    session: Session, conversation_id: UUID, reason: PauseReason, user_id: UUID | None = None
) -> None:
    """Leave a conversation to the person who wrote in it, for as long as their business leaves it to them.

    Nobody else is needed any more. A longer pause, such as one made by hand, stays.
    """
    await session.execute(
        text(HAND_TO_PERSON),
        {"conversation_id": conversation_id, "reason": reason.value, "user_id": user_id},
    )


async def call_off(session: Session, conversation_id: UUID) -> None:
    """Note that a person saw to a conversation: nobody is needed in it any more."""
    await session.execute(text(CALL_OFF), {"conversation_id": conversation_id})


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


async def choose_approval(
    session: Session, business_id: int, conversation_id: UUID, *, needs_approval: bool
) -> bool:
    """Have the assistant only suggest in one conversation, or answer there; False: no such conversation."""
    await queries.lock_conversation(session, conversation_id)
    names = {"conversation_id": conversation_id, "needs_approval": needs_approval}
    changed = await session.scalar(text(CHOOSE), names)
    session.outbox.append(Changed(business_id, "conversation", conversation_id))
    return changed is not None


async def resume(session: Session, business_id: int, conversation_id: UUID) -> bool:
    """Let the assistant answer again what the customer writes from now on; False: no such conversation."""
    await queries.lock_conversation(session, conversation_id)
    changed = await session.scalar(text(RESUME), {"conversation_id": conversation_id})
    session.outbox.append(Changed(business_id, "conversation", conversation_id))
    return changed is not None


async def read_takeover(session: Session, business_id: int) -> int:
    """Return for how many minutes a business's assistant leaves a conversation to whoever wrote in it."""
    found: int = (await session.execute(text(READ), {"business_id": business_id})).scalar_one()
    return found


async def keep_takeover(session: Session, business_id: int, told: str) -> None:
    """Keep for how many minutes that is, as a form told it. Raises BadInputError `minutes_invalid`."""
    minutes = int(told) if told.isascii() and told.isdigit() and len(told) <= len(str(LONGEST_MINUTES)) else 0
    if not 1 <= minutes <= LONGEST_MINUTES:
        raise BadInputError("minutes_invalid", f"Say a number of minutes from 1 to {LONGEST_MINUTES}.")
    await session.execute(text(KEEP), {"business_id": business_id, "minutes": minutes})
