"""When a reminder is raised: pure decisions, by moments that the database told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from server.errors import BadInputError

# Minutes before the due time, the first to come first.
OFFSETS_MIN = (30, 15, 0)
# "It is time" would be a lie from then on.
OVERDUE_AFTER = timedelta(minutes=10)
LONGEST_TEXT = 1000
LONGEST_LABEL = 200

OVERTAKEN = "a later one stands for it"
SET_LATER = "the due time was set after it"


class Raise(StrEnum):
    """What became of one offset of one due time."""

    RAISED = "raised"
    OVERDUE = "overdue"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Offset:
    """One offset that came, in minutes before the due time, and what becomes of it."""

    offset_min: int
    state: Raise
    reason: str | None = None


@dataclass(frozen=True)
class Verdict:
    """The offsets that came, the first first, and when there is more to look at; None for never."""

    offsets: Sequence[Offset]
    next_at: datetime | None


def judge(*, due_at: datetime, due_set_at: datetime, now: datetime) -> Verdict:
    """Decide what becomes of every offset that came by now.

    Of several that came unseen the newest alone is raised. One whose moment had passed before the due time
    was set is of no use to anybody; the due time itself is always raised, however late.
    """
    came = [offset for offset in OFFSETS_MIN if _moment(due_at, offset) <= now]
    coming = [_moment(due_at, offset) for offset in OFFSETS_MIN if offset not in came]
    offsets = [
        _judged(offset, due_at=due_at, due_set_at=due_set_at, now=now, is_newest=offset == came[-1])
        for offset in came
    ]
    return Verdict(offsets, min(coming, default=None))


def first_moment(due_at: datetime) -> datetime:
    """Return when a reminder is to be looked at for the first time."""
    return _moment(due_at, OFFSETS_MIN[0])


def checked_text(text: str) -> str:
    """Return what a reminder says, trimmed; raise BadInputError `bad_reminder`."""
    trimmed = text.strip()
    if not 1 <= len(trimmed) <= LONGEST_TEXT:
        raise BadInputError(
            "bad_reminder", f"A reminder says something in at most {LONGEST_TEXT} characters."
        )
    return trimmed


def checked_label(label: str) -> str:
    """Return what a series is called, trimmed; raise BadInputError `bad_label`."""
    trimmed = label.strip()
    if not 1 <= len(trimmed) <= LONGEST_LABEL:
        raise BadInputError("bad_label", f"A name has 1 to {LONGEST_LABEL} characters.")
    return trimmed


def check_due(due_at: datetime, now: datetime) -> None:
    """Raise BadInputError `bad_due_time` for a time without its zone, `due_in_past` for one that has been."""
    if due_at.tzinfo is None:
        raise BadInputError("bad_due_time", "A due time says in which zone it is.")
    if due_at <= now:
        raise BadInputError("due_in_past", "The due time has been: choose a later one.")


def _judged(
    offset_min: int, *, due_at: datetime, due_set_at: datetime, now: datetime, is_newest: bool
) -> Offset:
    if not is_newest:
        return Offset(offset_min, Raise.SKIPPED, OVERTAKEN)
    if offset_min == 0:
        is_overdue = now - due_at > OVERDUE_AFTER
        return Offset(offset_min, Raise.OVERDUE if is_overdue else Raise.RAISED)
    if _moment(due_at, offset_min) < due_set_at:
        return Offset(offset_min, Raise.SKIPPED, SET_LATER)
    return Offset(offset_min, Raise.RAISED)


def _moment(due_at: datetime, offset_min: int) -> datetime:
    return due_at - timedelta(minutes=offset_min)
