"""The assistant: what it knows, and what it would reply."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from server.db import Database, Session
from server.domains.assistant import prompts, queries, rules
from server.domains.assistant.queries import Found, Speaker
from server.domains.assistant.questions import language_of, looked_for, terms_of
from server.domains.assistant.rules import Draft
from server.errors import ProviderError
from server.log import get_logger
from server.ports import ChatTurn, Completion, EventKind, LanguageModel

log = get_logger(__name__)

# What a model is shown; a knowledge responder looks at the best alone.
MOST_SHOWN = 6
# Where no entry is in the customer's language a model is shown them all, up to this many.
MOST_UNSEARCHED = 20


async def add_knowledge(session: Session, business_id: int, *, title: str, body: str, language: str) -> UUID:
    """Tell the assistant something, or correct what stands under the same title; returns the entry's id."""
    return await queries.upsert_entry(session, business_id, title=title, body=body, language=language)


async def find_knowledge(session: Session, business_id: int, question: str, *, limit: int = 5) -> list[Found]:
    """Return the entries that speak of what is asked, in any language, the best first."""
    return await queries.search_entries(session, business_id, terms_of(question), language=None, limit=limit)


async def draft_reply(
    database: Database,
    model: LanguageModel | None,
    *,
    business_id: int,
    history: Sequence[ChatTurn],
    kind: EventKind,
) -> Draft:
    """Draft the answer to the last turn, which the customer wrote; a turn without words has no content.

    Reads in a short transaction of its own, and holds none while the model thinks. A model that
    does not answer is replaced by what the business's entries say.
    """
    async with database.transaction(business_id) as session:
        speaker = await queries.read_speaker(session, business_id)
        language = _language(history, speaker)
        ready = rules.reply_without_asking(speaker, history[-1].content, kind=kind, language=language)
        if ready is not None:
            return ready
        terms, is_clear = looked_for(history)
        fitting = await queries.search_entries(
            session, business_id, terms, language=language, limit=MOST_SHOWN
        )
        shown = fitting or await _of_other_languages(session, business_id, language)
    draft = None
    if model is not None and shown:
        turns = prompts.reply_turns(speaker, shown, history)
        completion = await _ask(model, turns, business_id)
        draft = completion and rules.reply_from_model(completion, shown, turns, language)
    return draft or rules.reply_from_knowledge(fitting if is_clear else [], language)


async def summarise(model: LanguageModel | None, history: Sequence[ChatTurn]) -> str:
    """Say in a few sentences what a conversation was about; without a model, by its own lines."""
    if model is not None and any(turn.content.strip() for turn in history):
        completion = await _ask(model, prompts.summary_turns(history), None)
        if completion is not None and (said := completion.text.replace("\x00", "").strip()):
            return rules.cut(said, rules.LONGEST_REPLY)
    return rules.extract(history)


async def _of_other_languages(session: Session, business_id: int, language: str) -> list[Found]:
    """Return entries a model may translate, unless some are in the language that was searched."""
    newest = await queries.newest_entries(session, business_id, limit=MOST_UNSEARCHED)
    return [] if any(entry.language == language for entry in newest) else newest


def _language(history: Sequence[ChatTurn], speaker: Speaker) -> str:
    """Return the language of the customer's last words, else the business's own."""
    for turn in reversed(history):
        if turn.role == "user" and (language := language_of(turn.content, "")):
            return language
    return speaker.language


async def _ask(model: LanguageModel, turns: Sequence[ChatTurn], business_id: int | None) -> Completion | None:
    try:
        return await model.complete(turns)
    except ProviderError as error:
        log.warning("model_did_not_answer", business_id=business_id, error=type(error).__name__)
        return None
