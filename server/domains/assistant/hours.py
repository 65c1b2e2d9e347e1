"""Opening hours: read from what people type, and told as of one moment. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NoReturn, TypeAlias

from server.errors import BadInputError

# In the order in which `date.weekday` counts.
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MOST_TIMES = 6
MOST_EXCEPTIONS = 60
LONGEST_NOTE = 80
# An opening further ahead than this is not looked for.
DAYS_AHEAD = 15
MIDNIGHT = "24:00"

# From and to, as HH:MM; a shift that ends before it begins goes on past midnight.
Shift: TypeAlias = Sequence[str]
Week: TypeAlias = Mapping[str, Sequence[Shift]]

_SHIFT = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*[-\u2013\u2014]\s*(\d{1,2})(?::(\d{2}))?")
_EXCEPTION = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\s*(?:\.\.|to|עד)\s*(\d{4}-\d{2}-\d{2}))?\s+(.+)")
_CLOSED = re.compile(r"(closed|סגור)\b[\s,:-]*", re.IGNORECASE)
_LAST_HOUR, _LAST_MINUTE = 24, 59


@dataclass(frozen=True)
class SpecialDays:
    """Days that are unlike the others; without times they are closed."""

    first: date
    last: date
    times: Sequence[Shift]
    note: str = ""


@dataclass(frozen=True)
class Standing:
    """Whether a business is open at a moment, and when that changes; None where nobody knows."""

    is_open: bool
    changes_at: datetime | None


def read_times(written: str) -> list[list[str]]:
    """Read "09:00-13:00, 16-19"; nothing, or "closed", is a closed day. Raises BadInputError `bad_hours`."""
    rest = _CLOSED.sub("", written.strip())
    parts = [part for part in re.split(r"[,;]", rest) if part.strip()]
    if len(parts) > MOST_TIMES:
        _refuse(written)
    return [_shift(part) for part in parts]


def read_exceptions(written: str) -> list[dict[str, object]]:
    """Read lines such as "2026-12-24..2026-12-26 closed Christmas"; raises BadInputError `bad_hours`."""
    lines = [line.strip() for line in written.splitlines() if line.strip()]
    if len(lines) > MOST_EXCEPTIONS:
        raise BadInputError("bad_hours", f"At most {MOST_EXCEPTIONS} days can be unlike the others.")
    return [_exception(line) for line in lines]


def exceptions_of(stored: Sequence[Mapping[str, object]]) -> list[SpecialDays]:
    """Return what `read_exceptions` made, from its stored form."""
    return [
        SpecialDays(
            date.fromisoformat(str(one["from"])),
            date.fromisoformat(str(one["to"])),
            one["times"],  # type: ignore[arg-type]
            str(one.get("note", "")),
        )
        for one in stored
    ]


def written_times(times: Sequence[Shift]) -> str:
    """Return times as people type them."""
    return ", ".join(f"{start}-{end}" for start, end in times)


def written_exceptions(exceptions: Sequence[SpecialDays]) -> str:
    """Return exceptions as people type them, one a line."""
    return "\n".join(
        f"{one.first}{'' if one.first == one.last else f'..{one.last}'} "
        f"{written_times(one.times) or 'closed'} {one.note}".rstrip()
        for one in exceptions
    )


def standing_at(week: Week, exceptions: Sequence[SpecialDays], now: datetime) -> Standing | None:
    """Tell whether a business is open at a local moment; None when it never said its hours."""
    if not week and not exceptions:
        return None
    is_open, until = False, now
    for start, end in sorted(_shifts(week, exceptions, now)):
        if start <= until < end:
            is_open, until = True, end
        elif start > until:
            return Standing(is_open, until if is_open else start)
    return Standing(is_open, until if is_open else None)


def told(week: Week, exceptions: Sequence[SpecialDays], now: datetime, zone: str) -> str:
    """Say what moment it is for a business, whether it is open, and its hours."""
    lines = [f"Now it is {_moment(now)} ({zone})."]
    standing = standing_at(week, exceptions, now)
    if standing is not None:
        lines[0] += f" {_words(standing, now)}"
    if week:
        lines.append("Opening hours: " + "; ".join(_day(name, week) for name in ("sun", *DAYS[:6])) + ".")
    coming = [one for one in exceptions if one.last >= now.date()]
    lines += [f"Unlike that: {line}." for line in written_exceptions(coming).splitlines()[:10]]
    return "\n".join(lines)


def _shifts(
    week: Week, exceptions: Sequence[SpecialDays], now: datetime
) -> Iterator[tuple[datetime, datetime]]:
    for ahead in range(-1, DAYS_AHEAD):
        day = now.date() + timedelta(days=ahead)
        special = next((one for one in exceptions if one.first <= day <= one.last), None)
        for start, end in special.times if special else week.get(DAYS[day.weekday()], ()):
            begins, ends = _at(day, start, now), _at(day, end, now)
            yield begins, ends if ends > begins else _at(day + timedelta(days=1), end, now)


def _at(day: date, moment: str, now: datetime) -> datetime:
    if moment == MIDNIGHT:
        return datetime.combine(day + timedelta(days=1), time(), now.tzinfo)
    return datetime.combine(day, time.fromisoformat(moment), now.tzinfo)


def _words(standing: Standing, now: datetime) -> str:
    if standing.changes_at is None:
        return "The business is open now." if standing.is_open else "The business is closed now."
    if standing.is_open:
        is_today = standing.changes_at.date() == now.date()
        until = f"{standing.changes_at:%H:%M}" if is_today else _moment(standing.changes_at)
        return f"The business is open now, until {until}."
    return f"The business is closed now; it opens next on {_moment(standing.changes_at)}."


def _moment(at: datetime) -> str:
    return f"{NAMES[at.weekday()]} {at:%Y-%m-%d} at {at:%H:%M}"


def _day(name: str, week: Week) -> str:
    return f"{NAMES[DAYS.index(name)]} {written_times(week.get(name, ())) or 'closed'}"


def _shift(written: str) -> list[str]:
    found = _SHIFT.fullmatch(written.strip())
    if found is None:
        _refuse(written)
    start, end = _clock(found[1], found[2], written), _clock(found[3], found[4], written)
    if start in {end, MIDNIGHT}:
        _refuse(written)
    return [start, end]


def _clock(hour: str, minute: str | None, written: str) -> str:
    hours, minutes = int(hour), int(minute or 0)
    if hours > _LAST_HOUR or minutes > _LAST_MINUTE or (hours == _LAST_HOUR and minutes):
        _refuse(written)
    return f"{hours:02}:{minutes:02}"


def _exception(line: str) -> dict[str, object]:
    found = _EXCEPTION.fullmatch(line)
    if found is None:
        _refuse(line)
    try:
        first = date.fromisoformat(found[1])
        last = date.fromisoformat(found[2]) if found[2] else first
    except ValueError:
        _refuse(line)
    rest = found[3]
    shifts = list(re.finditer(_SHIFT, rest))
    is_closed = _CLOSED.match(rest)
    if last < first or not (shifts or is_closed):
        _refuse(line)
    note = rest[is_closed.end() :] if is_closed else rest[shifts[-1].end() :]
    times = [] if is_closed else [_shift(shift[0]) for shift in shifts[:MOST_TIMES]]
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "times": times,
        "note": note.strip(" ,")[:LONGEST_NOTE],
    }


def _refuse(written: str) -> NoReturn:
    raise BadInputError(
        "bad_hours",
        f"These are no hours: {written.strip()[:60]}. Write 09:00-13:00, 16:00-19:00, or nothing.",
    )
