"""What the assistant knows, what it says of a conversation that is over, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from server.db import Session
from server.domains.assistant import prompts, queries, rules
from server.domains.assistant.queries import Found
from server.domains.assistant.questions import terms_of
from server.domains.assistant.rules import Draft
from server.domains.assistant.spent import Spent
from server.domains.assistant.toolbox import Deed
from server.errors import ProviderError
from server.log import get_logger
from server.ports import ChatTurn, LanguageModel

log = get_logger(__name__)

MOST_RECENT = 10


@dataclass(frozen=True)
class Summary:
    """What a conversation was about, and what a model took for saying so."""

    text: str
    spent: Spent = field(default_factory=Spent)


async def add_knowledge(session: Session, business_id: int, *, title: str, body: str, language: str) -> UUID:
    """Tell the assistant something, or correct what stands under the same title; returns the entry's id."""
    return await queries.upsert_entry(session, business_id, title=title, body=body, language=language)


async def find_knowledge(session: Session, business_id: int, question: str, *, limit: int = 5) -> list[Found]:
    """Return the entries that speak of what is asked, in any language, the best first."""
    return await queries.search_entries(session, business_id, terms_of(question), language=None, limit=limit)


async def summarise(model: LanguageModel | None, history: Sequence[ChatTurn]) -> Summary:
    """Say in a few sentences what a conversation was about; without a model, by its own lines."""
    spent = Spent()
    if model is not None and any(turn.content.strip() for turn in history):
        try:
            completion = await model.complete(prompts.summary_turns(history))
        except ProviderError as error:
            log.warning("model_did_not_answer", business_id=None, error=type(error).__name__)
        else:
            spent += completion
            if said := completion.text.replace("\x00", "").strip():
                return Summary(rules.cut(said, rules.LONGEST_REPLY), spent)
    return Summary(rules.extract(history), spent)


async def note_use(
    session: Session, business_id: int, spent: Spent, *, purpose: str, message_id: UUID | None = None
) -> None:
    """Write down what a model took; purpose is reply, summary or trial."""
    if spent.model:
        await queries.insert_use(session, business_id, spent, purpose=purpose, message_id=message_id)


async def note_draft(session: Session, business_id: int, draft: Draft, message_id: UUID) -> None:
    """Write down what a draft took, and tell the owner what was wrong with it, once a day or month."""
    await note_use(session, business_id, draft.spent, purpose="reply", message_id=message_id)
    if draft.trouble is not None:
        await queries.upsert_notice(
            session,
            business_id,
            kind=draft.trouble.value,
            by_month=draft.trouble is rules.Trouble.CAPPED,
            message_id=message_id,
            detail=rules.one_line(draft.detail),
        )


async def recent_deeds(session: Session, conversation_id: UUID) -> list[Deed]:
    """Return what tools did in a conversation within a day, the newest first."""
    rows = await queries.read_deeds(session, conversation_id, limit=MOST_RECENT)
    return [Deed(tool, is_done=True, text=result) for tool, result in rows]


async def capped_businesses(session: Session, business_ids: Sequence[int]) -> set[int]:
    """Return those of these businesses for which no model may be asked until the month is over."""
    return await queries.read_capped(session, business_ids)
