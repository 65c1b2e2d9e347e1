"""Whole conversations drawn by a seed: what is told of each, and what must be stored of it in the end."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

QUESTION = "כמה עולה פריצת דלת?"
MOST_LINES = 3
# Acts are minutes apart, the lines of one act seconds: nothing counts as late.
ACT = timedelta(minutes=1)


class Line(StrEnum):
    """The channel that a customer writes on."""

    BRIDGE = "bridge"
    META = "meta"


class Deed(StrEnum):
    """What one webhook tells."""

    WRITES = "writes"
    REACTS = "reacts"
    EDITS = "edits"
    DELETES = "deletes"
    OWNER_TYPES = "owner_types"
    GROUP = "group"


class Name(StrEnum):
    """Under which of a customer's names a bridge tells of something: the second of two stands beside."""

    PHONE = "phone"
    HIDDEN = "hidden"
    PHONE_AND_HIDDEN = "phone_and_hidden"
    HIDDEN_AND_PHONE = "hidden_and_phone"


@dataclass(frozen=True)
class Told:
    """One event as a channel tells it; `target` is the id that it changes or reacts to."""

    deed: Deed
    id: str
    at: datetime
    text: str = ""
    target: str | None = None
    name: Name = Name.PHONE


@dataclass(frozen=True)
class Kept:
    """What is stored of one message in the end."""

    author: str
    kind: str
    text: str
    is_edited: bool = False
    is_deleted: bool = False


@dataclass(frozen=True)
class Act:
    """What is told together, in any order; `is_answered` where the assistant owes one answer to it."""

    told: Sequence[Told]
    is_answered: bool

    def tellings(self, chance: random.Random) -> list[Told]:
        """Return every event once to three times, in any order."""
        repeated = [one for one in self.told for _ in range(chance.choice((1, 1, 2, 3)))]
        chance.shuffle(repeated)
        return repeated


@dataclass(frozen=True)
class Story:
    """One customer's conversation."""

    phone: str
    line: Line
    acts: Sequence[Act] = field(default_factory=list)

    @property
    def hidden_id(self) -> str:
        """Return the digits of the name that WhatsApp gives a customer who hides the phone."""
        return f"81{self.phone[3:]}77"

    @property
    def replies(self) -> int:
        """Return how many answers the customer gets."""
        return sum(act.is_answered for act in self.acts)

    def kept(self) -> dict[str, Kept]:
        """Return what is stored of it, by the channel's ids, without the assistant's answers."""
        found: dict[str, Kept] = {}
        for told in (one for act in self.acts for one in act.told):
            match told.deed:
                case Deed.WRITES:
                    found[told.id] = Kept("customer", "text", told.text)
                case Deed.OWNER_TYPES:
                    found[told.id] = Kept("person", "text", told.text)
                case Deed.REACTS:
                    found[told.id] = Kept("customer", "reaction", told.text)
                case Deed.EDITS | Deed.DELETES | Deed.GROUP:
                    pass
        for told in (one for act in self.acts for one in act.told if one.target in found):
            before = found[str(told.target)]
            match told.deed:
                case Deed.EDITS:
                    found[str(told.target)] = Kept(before.author, before.kind, told.text, is_edited=True)
                case Deed.DELETES:
                    found[str(told.target)] = Kept(before.author, before.kind, "", is_deleted=True)
                case Deed.WRITES | Deed.OWNER_TYPES | Deed.REACTS | Deed.GROUP:
                    pass
        return found

    def act_of(self) -> dict[str, int]:
        """Return which act tells each message."""
        return {told.id: number for number, act in enumerate(self.acts) for told in act.told}


def draw(seed: int, customers: int, *, prefix: str) -> list[Story]:
    """Return that many conversations, on each line in turn; the same seed draws the same."""
    chance = random.Random(seed)
    lines = list(Line)
    return [_story(chance, prefix, number, line=lines[number % len(lines)]) for number in range(customers)]


def _story(chance: random.Random, prefix: str, number: int, *, line: Line) -> Story:
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=8)
    ids = (f"{prefix}{number}X{count}" for count in range(1000))
    acts: list[Act] = []
    taken_over_at = chance.choice((None, None, 1, 2))
    is_hidden = chance.random() < 0.5
    for place in range(chance.randint(1, 4)):
        at = start + place * ACT
        if place == taken_over_at:
            acts.append(Act([Told(Deed.OWNER_TYPES, next(ids), at, f"אני פה {place}")], is_answered=False))
            continue
        is_left_to_owner = taken_over_at is not None and place > taken_over_at
        burst = _burst(chance, ids, at, line=line)
        told = _named(chance, burst) if line is Line.BRIDGE and is_hidden else burst
        acts.append(Act(list(told), is_answered=not is_left_to_owner))
    return Story(f"97254{prefix[-1:] or 0}{number:06}", line, acts)


def _named(chance: random.Random, burst: Iterator[Told]) -> Iterator[Told]:
    """Tell each event under a phone or a hidden id: of a message both are known, of a change maybe one.

    A deletion stays in the lane of its message: elsewhere, whether it comes before an answer is a matter of
    chance.
    """
    chats: dict[str | None, Name] = {}
    for told in burst:
        both = chance.choice([Name.PHONE_AND_HIDDEN, Name.HIDDEN_AND_PHONE])
        match told.deed:
            case Deed.EDITS:
                yield replace(told, name=chance.choice(list(Name)))
            case Deed.DELETES:
                chat = chats[told.target]
                alone = Name.HIDDEN if chat is Name.HIDDEN_AND_PHONE else Name.PHONE
                yield replace(told, name=chance.choice([chat, alone]))
            case Deed.WRITES | Deed.REACTS | Deed.OWNER_TYPES | Deed.GROUP:
                chats[told.id] = both
                yield replace(told, name=both)


def _burst(chance: random.Random, ids: Iterator[str], at: datetime, *, line: Line) -> Iterator[Told]:
    lines = chance.randint(1, MOST_LINES)
    written = [
        Told(Deed.WRITES, next(ids), at + timedelta(seconds=second), QUESTION) for second in range(lines)
    ]
    yield from written
    later = at + timedelta(seconds=lines + 1)
    # The newest line stays: whether an answer is owed to a question that was taken back is another matter.
    # Meta tells of no changes and no groups.
    if line is Line.BRIDGE and lines > 1 and chance.random() < 0.4:
        target = written[0].id
        if chance.random() < 0.5:
            yield Told(Deed.DELETES, next(ids), later, target=target)
        else:
            yield Told(Deed.EDITS, next(ids), later, f"{QUESTION} עכשיו", target)
    if chance.random() < 0.3:
        yield Told(Deed.REACTS, next(ids), later, "👍", written[-1].id)
    if line is Line.BRIDGE and chance.random() < 0.2:
        yield Told(Deed.GROUP, next(ids), later, "לכולם")
