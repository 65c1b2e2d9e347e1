"""Cron expressions in the words of people: those that are shorter said than read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from server.web.words import Words

EVERY = {
    "second": ("schedule.every.second", "schedule.every.seconds_two", "schedule.every.seconds"),
    "minute": ("schedule.every.minute", "schedule.every.minutes_two", "schedule.every.minutes"),
    "hour": ("schedule.every.hour", "schedule.every.hours_two", "schedule.every.hours"),
}
# Cron counts from Sunday, which is 7 as well.
WEEKDAYS = (
    *("schedule.day.sunday", "schedule.day.monday", "schedule.day.tuesday", "schedule.day.wednesday"),
    *("schedule.day.thursday", "schedule.day.friday", "schedule.day.saturday"),
)
SHORT_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MOST_TIMES = 4
A_RANGE = 3
# Every month has a day of this number, and not every one has the next.
IN_EVERY_MONTH = 28
WITH_SECONDS = 6
_STEP = re.compile(r"\*(?:/(\d{1,2}))?")
_NUMBERS = re.compile(r"\d{1,2}(?:,\d{1,2})*")


def say_cron(words: Words, cron: str) -> str:
    """Say when an expression comes; nothing where its words would be harder to follow than itself."""
    fields = cron.lower().split()
    if len(fields) == WITH_SECONDS:
        return _every(words, "second", fields[0], 60) if fields[1:] == ["*"] * 5 else ""
    minute, hour, *date = fields
    if times := _times(minute, hour):
        return _on_days(words, date, _joined(words, times))
    if date != ["*", "*", "*"]:
        return ""
    if hour == "*" and not minute.isdigit():
        return _every(words, "minute", minute, 60)
    every = _every(words, "hour", hour, 24) if minute.isdigit() else ""
    return words("schedule.every.at_minute", every=every, minute=minute) if every and int(minute) else every


def _every(words: Words, unit: str, field: str, in_all: int) -> str:
    """Say a step; one that does not divide what it steps through has a shorter one at its end."""
    step = _STEP.fullmatch(field)
    count = int(step[1] or 1) if step else 0
    if not count or in_all % count:
        return ""
    one, two, many = EVERY[unit]
    match count:
        case 1:
            return words(one)
        case 2:
            return words(two)
        case _:
            return words(many, n=str(count))


def _times(minute: str, hour: str) -> list[str]:
    if not minute.isdigit() or not _NUMBERS.fullmatch(hour):
        return []
    hours = sorted({int(one) for one in hour.split(",")})
    return [f"{one:02}:{int(minute):02}" for one in hours] if len(hours) <= MOST_TIMES else []


def _on_days(words: Words, date: Sequence[str], time: str) -> str:
    match list(date):
        case ["*", "*", "*"]:
            return words("schedule.every.day", time=time)
        case ["*", "*", weekdays]:
            return _on_weekdays(words, _weekdays(weekdays), time)
        case ["l", "*", "*"]:
            return words("schedule.every.month_end", time=time)
        case [day, "*", "*"] if day.isdigit():
            is_in_every = int(day) <= IN_EVERY_MONTH
            key = "schedule.every.month" if is_in_every else "schedule.every.long_month"
            return words(key, day=str(int(day)), time=time)
        case [day, month, "*"] if day.isdigit() and month.isdigit() and (int(day), int(month)) != (29, 2):
            return words("schedule.every.year", date=f"{int(day)}.{int(month)}.", time=time)
    return ""


def _on_weekdays(words: Words, days: Sequence[int], time: str) -> str:
    names = [words(WEEKDAYS[day]) for day in days]
    if not names:
        return ""
    if len(names) == 1:
        return words("schedule.every.weekday", day=names[0], time=time)
    if len(names) == len(WEEKDAYS):
        return words("schedule.every.day", time=time)
    is_range = len(days) >= A_RANGE and days[-1] - days[0] == len(days) - 1
    told = words("schedule.day.to", first=names[0], last=names[-1]) if is_range else _joined(words, names)
    return words("schedule.every.weekdays", days=told, time=time)


def _weekdays(field: str) -> list[int]:
    """Return the days that a field names, Sunday as 0; nothing where it steps or counts weeks."""
    days: set[int] = set()
    for part in field.split(","):
        first, _, last = part.partition("-")
        ends = [_weekday(first), _weekday(last or first)]
        if -1 in ends or ends[0] > ends[1]:
            return []
        days |= {day % 7 for day in range(ends[0], ends[1] + 1)}
    return sorted(days)


def _weekday(name: str) -> int:
    if name in SHORT_WEEKDAYS:
        return SHORT_WEEKDAYS.index(name)
    return int(name) if re.fullmatch("[0-7]", name) else -1


def _joined(words: Words, several: Sequence[str]) -> str:
    *first, last = several
    return words("schedule.and", first=", ".join(first), last=last) if first else last
