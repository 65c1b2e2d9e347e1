"""What the assistant may say; no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from server.domains.assistant import sentences
from server.domains.assistant.behaviour import Behaviour
from server.domains.assistant.queries import Found
from server.domains.assistant.questions import (
    is_greeting,
    is_thanks,
    language_of,
    stem_of,
    terms_of,
    wants_person,
)
from server.domains.assistant.spent import Spent
from server.ports import ChatTurn, EventKind

# Tuned on the questions in tests/domains/assistant: below it, more answers were wrong than right.
SURE_SCORE = 0.34
# WhatsApp takes 4,096 characters.
LONGEST_REPLY = 4_000
# What a model is told to say when it cannot answer; no customer's language has such a word.
NEEDS_PERSON = "NEEDS_PERSON"
# And when it was asked about something else than the business.
OFF_TOPIC = "OFF_TOPIC"
LONGEST_LINE = 160

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_FIGURE = re.compile(r"\d+")
_SHORTEST_FIGURE = 2
_NOTE = re.compile(r"^\s*\[[^\]\n]{1,60}\]\s*:?\s*")
# A sticker says no more than a smile does.
_WORDLESS_SMALL_TALK = (EventKind.STICKER,)


class Trouble(StrEnum):
    """What the owner is told of a reply that was not as it should be."""

    MODEL_DOWN = "model_down"
    MODEL_REFUSED = "model_refused"
    CAPPED = "capped"
    FALSE_CLAIM = "false_claim"
    TOOL_FAILED = "tool_failed"


@dataclass(frozen=True)
class Draft:
    """A reply that nobody has sent yet.

    `sources` are the entries it was made from ({"id", "title"}). `is_sure` is False when the
    business's knowledge did not answer; `hands_over` is True when the text promises a person.
    `model` is None where no model wrote it; what was `spent` counts even if its words were not used.
    `deeds` are what tools did for it ({"tool", "text"}). `trouble`, with its `detail`, is for the owner.
    """

    text: str
    sources: list[dict[str, str]] = field(default_factory=list)
    is_sure: bool = True
    hands_over: bool = False
    model: str | None = None
    spent: Spent = field(default_factory=Spent)
    deeds: list[dict[str, str]] = field(default_factory=list)
    trouble: Trouble | None = None
    detail: str = ""
    needs_approval: bool = False

    @property
    def input_tokens(self) -> int:
        """Return how many tokens a model was told."""
        return self.spent.input_tokens

    @property
    def output_tokens(self) -> int:
        """Return how many tokens it answered."""
        return self.spent.output_tokens


def reply_without_asking(
    behaviour: Behaviour, asked: str, *, kind: EventKind, language: str, was_asked: bool = False
) -> Draft | None:
    """Answer what needs no knowledge: small talk, media without words, the wish for a person.

    `was_asked` is whether the business asked something last: then "ok" is an answer, and no thanks.
    """
    if not asked.strip():
        said = sentences.WELCOME if kind in _WORDLESS_SMALL_TALK else sentences.MEDIA_RECEIVED
        is_small_talk = said is sentences.WELCOME
        return Draft(_in(said, language), is_sure=is_small_talk, hands_over=not is_small_talk)
    # "Good" alone agrees, before it greets.
    if is_thanks(asked) and not was_asked:
        return Draft(_in(sentences.WELCOME, language))
    if is_greeting(asked):
        return Draft(_in(sentences.GREETING, language).format(business=behaviour.name))
    return hand_over(language) if wants_person(asked) else None


def hand_over(language: str, model: str | None = None) -> Draft:
    """Promise a person; `model` is the one that could not answer, if one was asked."""
    return Draft(_in(sentences.HANDED_OVER, language), is_sure=False, hands_over=True, model=model)


def refuse_topic(behaviour: Behaviour, language: str, model: str) -> Draft:
    """Say that only the business is spoken of here."""
    return Draft(_in(sentences.OFF_TOPIC, language).format(business=behaviour.name), model=model)


def reply_from_knowledge(found: Sequence[Found], language: str) -> Draft:
    """Give the best entry's words, if it is in the customer's language and fits; else hand over."""
    best = max((entry for entry in found if entry.language == language), key=_score, default=None)
    if best is None or best.score < SURE_SCORE:
        return hand_over(language)
    return Draft(cut(best.body, LONGEST_REPLY), sources=[_source(best)])


def reply_in_words(said: str, shown: Sequence[Found], model: str) -> Draft:
    """Take a model's words as the reply, with the entries that they were made from."""
    sources = [_source(entry) for entry in used_entries(said, shown)]
    return Draft(cut(said, LONGEST_REPLY), sources=sources, model=model)


def without_notes(said: str) -> str:
    """Return an answer without the notes on who wrote a line, should a model have copied one."""
    return _NOTE.sub("", said).strip()


def invented_figures(said: str, turns: Sequence[ChatTurn]) -> set[str]:
    """Return the figures of two digits and more that are in none of what the model was given."""
    known = _figures(" ".join(turn.content for turn in turns))
    return {figure for figure in _figures(said) - known if len(figure) >= _SHORTEST_FIGURE}


def used_entries(said: str, shown: Sequence[Found]) -> list[Found]:
    """Return the entries an answer was made from: those it shares most words with, else all shown."""
    stems = {stem_of(term.word) for term in terms_of(said)}
    shared = {entry.id: len(stems & _stems(entry)) for entry in shown}
    most = max(shared.values(), default=0)
    return [entry for entry in shown if most == 0 or shared[entry.id] > most / 2]


def extract(history: Sequence[ChatTurn]) -> str:
    """Summarise without a model: how it began, how much was written, how it ended."""
    lines = [turn.content for turn in history if turn.content.strip()]
    asked = [turn.content for turn in history if turn.role == "user"]
    first = next((line for line in asked if line.strip()), None)
    language = "he" if language_of(first or " ".join(lines), "en") == "he" else "en"
    counts = sentences.COUNTS[language].format(asked=len(asked), answered=len(history) - len(asked))
    parts = [sentences.WROTE_FIRST[language].format(line=one_line(first))] if first else []
    parts.append(counts)
    if lines and lines[-1] != first:
        parts.append(sentences.WROTE_LAST[language].format(line=one_line(lines[-1])))
    return " ".join(parts)


def one_line(text: str) -> str:
    """Return a text's beginning on one line."""
    return cut(" ".join(text.split()), LONGEST_LINE)


def cut(text: str, longest: int) -> str:
    """Return a text of at most this many characters; what is cut off shows as an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _in(said: Mapping[str, str], language: str) -> str:
    return said.get(language, said["en"])


def _score(entry: Found) -> float:
    return entry.score


def _source(entry: Found) -> dict[str, str]:
    return {"id": str(entry.id), "title": entry.title}


def _figures(text: str) -> set[str]:
    return {figure.lstrip("0") for figure in _FIGURE.findall(_THOUSANDS.sub("", text))}


def _stems(entry: Found) -> set[str]:
    return {stem_of(term.word) for term in terms_of(f"{entry.title} {entry.body}")}
