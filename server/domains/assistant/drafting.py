"""Drafting a reply: with a model and its tools, held to what it was given and to what was done.

Whatever goes wrong with the model, the business's own entries answer where they are sure, and a person
is promised where they are not; the owner is told either way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from server.db import Database, Session
from server.domains.assistant import guards, prompts, queries, rules
from server.domains.assistant.behaviour import Behaviour, behaviour_of
from server.domains.assistant.queries import Found
from server.domains.assistant.questions import language_of, looked_for
from server.domains.assistant.rules import Draft, Trouble
from server.domains.assistant.spent import Spent
from server.domains.assistant.toolbox import Deed, Facts, Toolbox
from server.errors import ProviderBusyError, ProviderDownError, ProviderError, ProviderRefusedError
from server.log import get_logger
from server.ports import ChatTurn, Completion, EventKind, LanguageModel, Tool, ToolCall

log = get_logger(__name__)

# What a model is shown; a knowledge responder looks at the best alone.
MOST_SHOWN = 6
# Where no entry is in the customer's language a model is shown them all, up to this many.
MOST_UNSEARCHED = 20
# How often a model is asked for one reply: the last time without tools, so that it comes to words.
MOST_ROUNDS = 5
# All rounds together; a job that answers has 90 seconds.
DEADLINE_S = 45.0
# A model that failed is asked once more, unless it asks for a longer wait than this.
PAUSE_S = 0.3
LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True)
class Briefing:
    """What a business says of its assistant, and what it wrote about a customer's last words.

    `ready` is an answer for which nothing has to be asked; `fitting` are entries that speak of the question,
    `shown` those that a model may use, `is_clear` tells whether the question is one by itself.
    """

    behaviour: Behaviour
    language: str
    ready: Draft | None = None
    fitting: Sequence[Found] = ()
    shown: Sequence[Found] = ()
    is_clear: bool = False


async def brief(
    session: Session, business_id: int, history: Sequence[ChatTurn], *, kind: EventKind, has_model: bool
) -> Briefing:
    """Read what the answer to the last turn stands on."""
    behaviour = behaviour_of(await queries.read_behaviour(session, business_id))
    language = _language(history, behaviour)
    was_asked = has_model and _asked_last(history)
    ready = rules.reply_without_asking(
        behaviour, history[-1].content, kind=kind, language=language, was_asked=was_asked
    )
    if ready is not None:
        return Briefing(behaviour, language, ready)
    terms, is_clear = looked_for(history)
    fitting = await queries.search_entries(session, business_id, terms, language=language, limit=MOST_SHOWN)
    shown = fitting or await _of_other_languages(session, business_id, language)
    return Briefing(behaviour, language, None, fitting, shown, is_clear)


async def draft_reply(  # noqa: PLR0913 -- all that an answer stands on
    database: Database,
    model: LanguageModel | None,
    *,
    business_id: int,
    history: Sequence[ChatTurn],
    kind: EventKind,
    facts: Facts = Facts(),  # noqa: B008 -- frozen and empty
    toolbox: Toolbox | None = None,
    briefing: Briefing | None = None,
) -> Draft:
    """Draft the answer to the last turn, which the customer wrote; a turn without words has no content.

    Without a `briefing` of the same history it is read in a short transaction; none is held while the model
    thinks. A model that does not answer is replaced by what the business's entries say.
    """
    if briefing is None:
        async with database.transaction(business_id) as session:
            briefing = await brief(session, business_id, history, kind=kind, has_model=model is not None)
    behaviour, language = briefing.behaviour, briefing.language
    if briefing.ready is not None:
        return replace(briefing.ready, needs_approval=behaviour.needs_approval)
    by_itself = rules.reply_from_knowledge(briefing.fitting if briefing.is_clear else [], language)
    if model is None:
        draft = by_itself
    elif behaviour.is_capped:
        draft = replace(by_itself, trouble=Trouble.CAPPED)
    else:
        turns = prompts.reply_turns(behaviour, briefing.shown, history, facts)
        shown, known = [*briefing.shown], [*facts.deeds]
        talk = _Talk(model, behaviour, language, [*turns], [*turns], shown, known, toolbox)
        draft = await _talk_it_over(talk, by_itself, business_id)
    return replace(draft, needs_approval=behaviour.needs_approval)


@dataclass
class _Talk:
    """One reply's conversation with a model; `given` are the turns that its words are measured by."""

    model: LanguageModel
    behaviour: Behaviour
    language: str
    turns: list[ChatTurn]
    given: list[ChatTurn]
    shown: list[Found]
    known: list[Deed]
    toolbox: Toolbox | None
    spent: Spent = field(default_factory=Spent)
    deeds: list[Deed] = field(default_factory=list)
    has_claimed: bool = False

    @property
    def tools(self) -> Sequence[Tool]:
        """Return the tools that the business lets it use."""
        tools = self.toolbox.tools if self.toolbox else ()
        return [tool for tool in tools if tool.name in self.behaviour.tools]

    def hear(self, *turns: ChatTurn) -> None:
        """Add what the model is told and may repeat."""
        self.turns.extend(turns)
        self.given.extend(turns)


async def _talk_it_over(talk: _Talk, by_itself: Draft, business_id: int) -> Draft:
    trouble, detail = Trouble.MODEL_DOWN, ""
    try:
        async with asyncio.timeout(DEADLINE_S):
            draft = await _converse(talk)
    except TimeoutError:
        draft, detail = None, f"no answer within {DEADLINE_S:.0f} s"
    except ProviderError as error:
        draft, detail = None, str(error)
        is_refused = isinstance(error, ProviderRefusedError)
        trouble = Trouble.MODEL_REFUSED if is_refused else Trouble.MODEL_DOWN
        log.warning("model_did_not_answer", business_id=business_id, error=type(error).__name__)
    if draft is None:
        draft = replace(by_itself, trouble=trouble, detail=detail)
    if draft.trouble is None and any(not deed.is_done for deed in talk.deeds):
        draft = replace(draft, trouble=Trouble.TOOL_FAILED, detail=_failed(talk.deeds))
    done = [{"tool": deed.tool, "text": deed.text} for deed in talk.deeds if deed.is_done]
    return replace(draft, spent=talk.spent, deeds=done)


async def _converse(talk: _Talk) -> Draft | None:
    """Ask and do what is asked for until there are words; None where the model said nothing."""
    for number in range(MOST_ROUNDS):
        tools = talk.tools if number < MOST_ROUNDS - 1 else ()
        completion = await _ask(talk, tools)
        if completion.calls and tools:
            if await _use(talk, completion):
                return rules.hand_over(talk.language, completion.model)
            continue
        said = completion.text.replace("\x00", "").strip()
        if not said:
            return None
        claims = guards.false_claims(said, [*talk.known, *talk.deeds], talk.given[0].content)
        if not claims:
            return _judge(talk, said, completion.model)
        if talk.has_claimed:
            break
        talk.has_claimed = True
        talk.turns += [ChatTurn("assistant", said), prompts.not_done(claims[0])]
    return replace(rules.hand_over(talk.language, talk.spent.model), trouble=Trouble.FALSE_CLAIM)


def _judge(talk: _Talk, said: str, model: str) -> Draft:
    """Take a model's answer unless it may not be sent.

    A figure that stands neither in the entries nor in the conversation was made up: a price
    nobody named is never promised. Nor is a person, but by handing over.
    """
    if rules.NEEDS_PERSON in said or rules.invented_figures(said, talk.given):
        return rules.hand_over(talk.language, model)
    if talk.behaviour.keeps_scope and (rules.OFF_TOPIC in said or guards.wanders(said, talk.given)):
        return rules.refuse_topic(talk.behaviour, talk.language, model)
    said = rules.without_notes(said)
    if not said or guards.promises_person(said):
        return rules.hand_over(talk.language, model)
    return rules.reply_in_words(said, talk.shown, model)


async def _use(talk: _Talk, completion: Completion) -> bool:
    """Do what the model asks for, one after another; tell whether a person takes over."""
    assert talk.toolbox is not None  # noqa: S101 -- tools come from it alone
    talk.turns.append(ChatTurn("assistant", completion.text, completion.calls))
    allowed = {tool.name for tool in talk.tools}
    for call in completion.calls:
        deed = await talk.toolbox.use(call) if call.name in allowed else _not_allowed(call)
        talk.deeds.append(deed)
        talk.shown += [entry for entry in deed.found if entry not in talk.shown]
        talk.hear(ChatTurn("tool", deed.text, call_id=call.id))
    return any(deed.hands_over for deed in talk.deeds)


def _not_allowed(call: ToolCall) -> Deed:
    return Deed(call.name, is_done=False, text="There is no such tool. Nothing was done.")


async def _ask(talk: _Talk, tools: Sequence[Tool]) -> Completion:
    try:
        completion = await talk.model.complete(talk.turns, tools=tools)
    except ProviderDownError as error:
        pause_s = error.retry_after_s if isinstance(error, ProviderBusyError) else PAUSE_S
        if pause_s > LONGEST_PAUSE_S:
            raise
        await asyncio.sleep(pause_s)
        completion = await talk.model.complete(talk.turns, tools=tools)
    talk.spent += completion
    return completion


def _failed(deeds: Sequence[Deed]) -> str:
    return "; ".join(f"{deed.tool}: {deed.text}" for deed in deeds if not deed.is_done)


async def _of_other_languages(session: Session, business_id: int, language: str) -> list[Found]:
    """Return entries a model may translate, unless some are in the language that was searched."""
    newest = await queries.newest_entries(session, business_id, limit=MOST_UNSEARCHED)
    return [] if any(entry.language == language for entry in newest) else newest


def _language(history: Sequence[ChatTurn], behaviour: Behaviour) -> str:
    """Return the language of the customer's last words, else the business's own."""
    for turn in reversed(history):
        if turn.role == "user" and (language := language_of(turn.content, "")):
            return language
    return behaviour.language


def _asked_last(history: Sequence[ChatTurn]) -> bool:
    before = next((turn for turn in reversed(history[:-1]) if turn.content.strip()), None)
    return before is not None and before.role == "assistant" and before.content.rstrip()[-1] in "?؟"
