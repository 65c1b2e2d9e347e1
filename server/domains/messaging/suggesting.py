"""What the assistant would answer, left for a person to decide on: sent, edited and sent, or discarded."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import JSONB

from server.db import Session, text
from server.domains import assistant
from server.domains.messaging import inbox, queries, takeover
from server.domains.messaging.intake import Question
from server.domains.messaging.letters import Letter, ask_to_send
from server.errors import BadInputError
from server.queue import Changed

WAITS = "not answered: what the assistant suggests waits for a person"
# Of two for one conversation the newer stands: it was made knowing what the older one was made from.
OUTDATE = """
UPDATE suggestion SET state = 'stale', decided_at = now()
WHERE conversation_id = :conversation_id AND state = 'open' AND message_id <> :message_id
"""
SUGGEST = """
INSERT INTO suggestion (business_id, conversation_id, message_id, text, sources, details)
VALUES (:business_id, :conversation_id, :message_id, :text, :sources, :details)
ON CONFLICT (message_id) DO NOTHING
"""
# The customer wrote something newer, or a person answered: it was made not knowing of that.
IS_FRESH = """
suggestion.state = 'open' AND NOT EXISTS (
    SELECT FROM message AS newer JOIN message AS mine ON mine.id = suggestion.message_id
    WHERE newer.conversation_id = suggestion.conversation_id AND newer.position > mine.position
      AND newer.kind <> 'reaction' AND newer.author IN ('customer', 'person'))
"""
# The conversation's lock is taken before: whoever clicks second finds the decision of the first.
FIND = f"""
SELECT id, conversation_id, text, sources, {IS_FRESH} AS is_fresh FROM suggestion
WHERE id = :id AND business_id = :business_id ORDER BY id LIMIT 1
"""  # noqa: S608 -- composed of constants
DECIDE = """
UPDATE suggestion SET state = :state, decided_at = now(), decided_by = :user_id, sent_message_id = :sent
WHERE id = :id AND state = 'open'
"""


@dataclass(frozen=True)
class Decider:
    """The person who decides; their name is shown beside what they approved."""

    business_id: int
    user_id: UUID
    name: str


async def suggest(session: Session, question: Question, draft: assistant.Draft) -> None:
    """Keep a draft for a person to decide on, in the transaction in which it would have been recorded."""
    names = {"conversation_id": question.conversation_id, "message_id": question.message_id}
    await session.execute(text(OUTDATE), names)
    statement = text(SUGGEST).bindparams(bindparam("sources", type_=JSONB), bindparam("details", type_=JSONB))
    details = {"model": draft.model, "cost_micro": draft.spent.cost_micro}
    said = {"text": draft.text, "sources": draft.sources, "details": details}
    await session.execute(statement, names | said | {"business_id": question.business_id})
    await queries.mark_needs_person(session, question.conversation_id)
    await inbox.close_event(session, question.event_id, "done", WAITS)
    session.outbox.append(Changed(question.business_id, "conversation", question.conversation_id))


async def approve(
    session: Session, decider: Decider, suggestion_id: UUID, *, words: str | None = None
) -> UUID | None:
    """Send a suggestion, in other `words` where given; return the message's id, the same for a second click.

    None where it is too late: it was discarded, or made not knowing of something newer. Raises BadInputError.
    """
    found = await _find(session, decider, suggestion_id)
    if found is None:
        return None
    letter = Letter(
        business_id=decider.business_id,
        conversation_id=found.conversation_id,
        client_key=f"suggestion:{suggestion_id}",
        text=words or found.text,
        author="assistant",
        details={"approved_by": decider.name} | ({"edited_by": decider.name} if words else {}),
        sources=found.sources,
    )
    if not found.is_fresh and not await _was_sent(session, suggestion_id):
        return None
    message_id = await ask_to_send(session, letter)
    await _decide(session, decider, suggestion_id, "sent", message_id)
    await takeover.call_off(session, found.conversation_id)
    return message_id


async def discard(session: Session, decider: Decider, suggestion_id: UUID) -> None:
    """Put a suggestion aside; a second time changes nothing."""
    found = await _find(session, decider, suggestion_id)
    if found is None:
        raise BadInputError("suggestion_unknown", "There is no such suggestion.")
    await _decide(session, decider, suggestion_id, "discarded", None)
    session.outbox.append(Changed(decider.business_id, "conversation", found.conversation_id))


@dataclass(frozen=True)
class _Found:
    conversation_id: UUID
    text: str
    sources: list[dict[str, str]]
    is_fresh: bool


async def _find(session: Session, decider: Decider, suggestion_id: UUID) -> _Found | None:
    names = {"id": suggestion_id, "business_id": decider.business_id}
    row = (await session.execute(text(FIND), names)).first()
    if row is None:
        return None
    await queries.lock_conversation(session, row.conversation_id)
    row = (await session.execute(text(FIND), names)).one()
    return _Found(row.conversation_id, row.text, row.sources, row.is_fresh)


async def _was_sent(session: Session, suggestion_id: UUID) -> bool:
    state = await session.scalar(
        text("SELECT state FROM suggestion WHERE id = :id ORDER BY id LIMIT 1"), {"id": suggestion_id}
    )
    return bool(state == "sent")


async def _decide(
    session: Session, decider: Decider, suggestion_id: UUID, state: str, sent: UUID | None
) -> None:
    await session.execute(
        text(DECIDE), {"id": suggestion_id, "state": state, "user_id": decider.user_id, "sent": sent}
    )
