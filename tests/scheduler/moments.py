"""Which moments an expression names, found by looking at every minute: slow, and nobody's library.

The rules in the simplest words. A `Free` expression comes whenever the clock on the wall shows one of its
minutes. A `Fixed` one comes at each of its times on the wall once a day: at the first of two, and at the end
of the gap where the time is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@dataclass(frozen=True)
class Free:
    """Every hour, at these minutes and this second."""

    minutes: tuple[int, ...]
    second: int = 0


@dataclass(frozen=True)
class Fixed:
    """Every day, at these times on the wall."""

    times: tuple[time, ...]


def _at(*times: str) -> Fixed:
    return Fixed(tuple(time.fromisoformat(one) for one in times))


EXPRESSIONS: dict[str, Free | Fixed] = {
    "*/5 * * * *": Free(tuple(range(0, 60, 5))),
    "*/30 * * * *": Free((0, 30)),
    "5 * * * *": Free((5,)),
    "30 */10 * * * *": Free(tuple(range(0, 60, 10)), second=30),
    "30 2 * * *": _at("02:30"),
    "0 0 * * *": _at("00:00"),
    "30 1 * * *": _at("01:30"),
    "0,20,40 2 * * *": _at("02:00", "02:20", "02:40"),
    "*/20 2 * * *": _at("02:00", "02:20", "02:40"),
    "15 1-3 * * *": _at("01:15", "02:15", "03:15"),
    "0 6,18 * * *": _at("06:00", "18:00"),
}


def moments(cron: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """Return what lies in (after, until], in UTC, oldest first."""
    day, last = after.date() - DAY, until.date() + DAY
    found: set[datetime] = set()
    while day <= last:
        found |= _of_day(cron, zone, day)
        day += DAY
    return sorted(at for at in found if after < at <= until)


@lru_cache(maxsize=4096)
def _of_day(cron: str, zone: str, day: date) -> frozenset[datetime]:
    wall, wanted = ZoneInfo(zone), EXPRESSIONS[cron]
    match wanted:
        case Free():
            seconds = timedelta(seconds=wanted.second)
            return frozenset(
                at + seconds for at in _minutes(day) if at.astimezone(wall).minute in wanted.minutes
            )
        case Fixed():
            return frozenset(_once(datetime.combine(day, one), wall) for one in wanted.times)


def _minutes(day: date) -> Iterator[datetime]:
    at = datetime.combine(day, time(), UTC)
    return (at + number * MINUTE for number in range(24 * 60))


def _once(told: datetime, wall: ZoneInfo) -> datetime:
    """Return the first minute at which the wall shows this time, or a later one because it never does."""
    at = told.replace(tzinfo=wall).astimezone(UTC) - timedelta(hours=4)
    while at.astimezone(wall).replace(tzinfo=None) < told:
        at += MINUTE
    return at
