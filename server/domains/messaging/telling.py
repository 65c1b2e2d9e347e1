"""What an assistant is told of a conversation: who said what, what was before, and what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.db import Session
from server.domains import assistant, contacts
from server.domains.messaging import standing
from server.domains.messaging.intake import Question
from server.domains.messaging.rules import HISTORY_TURNS, QUICK_LINES
from server.domains.messaging.standing import Line
from server.ports import ChatTurn

# Who wrote for the business, where it was not the assistant. It is told, and told not to write so itself.
_NOTES: Mapping[str, str] = {
    "person": "[a person of the business]",
    "reminder": "[an automatic reminder]",
    "broadcast": "[a message to many customers]",
    "api": "[an automatic message]",
}
# A line without words, by its kind.
_WORDLESS: Mapping[str, str] = {
    "image": "[photo]",
    "video": "[video]",
    "audio": "[audio file]",
    "voice": "[voice message]",
    "document": "[document]",
    "sticker": "[sticker]",
    "location": "[location]",
    "contact": "[contact card]",
}


@dataclass(frozen=True)
class Told:
    """A conversation up to the message that is answered, and what is known beside it.

    `asked` is the same as a model reads it, `briefing` what the business says and knows of it.
    `needs_approval` is None where the business's own choice holds.
    """

    history: Sequence[Line]
    asked: Sequence[ChatTurn]
    briefing: assistant.Briefing
    facts: assistant.Facts
    occasion: assistant.Occasion
    needs_approval: bool | None = None


async def read_told(session: Session, question: Question, *, has_model: bool) -> Told:
    """Read all that an answer needs of its conversation."""
    history = await standing.read_history(
        session, question.conversation_id, until_position=question.position, limit=HISTORY_TURNS
    )
    known = await standing.read_known(session, question.conversation_id)
    contact = await contacts.describe(session, known.contact_id)
    stages = await contacts.open_stages(session, question.business_id)
    occasion = assistant.Occasion(
        business_id=question.business_id,
        conversation_id=known.conversation_id,
        contact_id=known.contact_id,
        message_id=question.message_id,
        time_zone=known.time_zone,
        stages=[stage.name for stage in stages],
    )
    deeds = await assistant.recent_deeds(session, known.conversation_id)
    facts = assistant.Facts(contact=contact, earlier=known.summaries, deeds=deeds)
    asked = with_quick_lines(history)
    briefing = await assistant.brief(
        session, question.business_id, asked, kind=question.kind, has_model=has_model
    )
    return Told(history, asked, briefing, facts, occasion, known.needs_approval)


def with_quick_lines(history: Sequence[Line]) -> list[ChatTurn]:
    """Return a conversation whose last turn holds all lines that the customer wrote in a row just now.

    The newest line is answered for those it overtook, so what they asked is asked with it.
    """
    quick: list[Line] = []
    for line in reversed(history):
        if line.author != "customer" or line.stored_at < history[-1].stored_at - QUICK_LINES:
            break
        quick.insert(0, line)
    asked = "\n".join(line.text for line in quick if line.text)
    return [*map(_named, history[: len(history) - len(quick)]), ChatTurn("user", asked)]


def turns(history: Sequence[Line]) -> list[ChatTurn]:
    """Return a conversation as a model reads it.

    A line without words, such as a photo, is named; the last has no content then, so that whoever
    answers sees that there is nothing to be read.
    """
    return [*map(_named, history[:-1]), *(_turn(line, line.text or "") for line in history[-1:])]


def _named(line: Line) -> ChatTurn:
    return _turn(line, line.text or _WORDLESS.get(line.kind, ""))


def _turn(line: Line, words: str) -> ChatTurn:
    if line.author == "customer":
        return ChatTurn("user", words)
    note = _NOTES.get(line.author)
    return ChatTurn("assistant", f"{note} {words}" if note and words else words)
