"""Days of schedulers as hypothesis invents them: where and when they begin, and what happens then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from server.queue.slots import WITH_SECONDS, CatchUp, Plan
from tests.scheduler.moments import EXPRESSIONS

ZONES = ("Asia/Jerusalem", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "UTC")
HOUSE, BUSINESSES, SCHEDULERS = 3, ("first", "second"), 3
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Passes:
    """So much time passes; then a scheduler may have a cycle."""

    time: timedelta
    cycles: bool


@dataclass(frozen=True)
class JumpsBack:
    """The database's clock is put back."""

    time: timedelta


@dataclass(frozen=True)
class Cycles:
    """So many schedulers have a cycle at the same moment."""

    at_once: int


@dataclass(frozen=True)
class Reads:
    """A scheduler reads what is due, and stands still before it records it."""

    scheduler: int


@dataclass(frozen=True)
class Records:
    """The scheduler that stood still goes on."""

    scheduler: int


@dataclass(frozen=True)
class Restarts:
    """A scheduler starts, perhaps of a release with other lines or without some, perhaps in another zone."""

    changes: Mapping[int, Plan | None]
    zone: str | None


@dataclass(frozen=True)
class Keeps:
    """A business makes a schedule, or changes it."""

    key: str
    plan: Plan


@dataclass(frozen=True)
class Does:
    """Somebody does something to a schedule: a line of the timetable, or a business's."""

    deed: str
    target: int | str


Event: TypeAlias = Passes | JumpsBack | Cycles | Reads | Records | Restarts | Keeps | Does


@dataclass(frozen=True)
class Story:
    """What happens, and from when on."""

    start: datetime
    first: Restarts
    events: Sequence[Event]


@lru_cache
def nights(zone: str) -> tuple[datetime, ...]:
    """Return the days of three years on which a zone's clocks change, or any where they never do."""
    wall, days = ZoneInfo(zone), [datetime(2025, 1, 1, tzinfo=UTC) + number * DAY for number in range(1100)]
    changes = [
        day for day in days if day.astimezone(wall).utcoffset() != (day + DAY).astimezone(wall).utcoffset()
    ]
    return tuple(changes or days[:1])


def _times(least_s: int, most_s: int) -> st.SearchStrategy[timedelta]:
    # No two moments are the same, as on a real clock.
    return st.integers(least_s * 10**6, most_s * 10**6).map(lambda us: timedelta(microseconds=us))


CRONS = st.sampled_from(sorted(EXPRESSIONS))
LINES_PLANS = st.builds(
    Plan,
    CRONS,
    st.sampled_from(ZONES),
    st.sampled_from(CatchUp),
    st.sampled_from([timedelta(minutes=20), timedelta(hours=12), timedelta(days=5)]),
)
PLANS = LINES_PLANS.filter(lambda plan: len(plan.cron.split()) < WITH_SECONDS)
FIRST = st.builds(
    Restarts,
    st.fixed_dictionaries(dict.fromkeys(range(HOUSE), LINES_PLANS)),
    st.sampled_from(ZONES),
)
LATER = st.builds(
    Restarts,
    st.dictionaries(st.integers(0, HOUSE - 1), st.one_of(LINES_PLANS, st.none()), max_size=2),
    st.sampled_from([None, None, *ZONES]),
)
TARGETS = st.one_of(st.integers(0, HOUSE - 1), st.sampled_from(BUSINESSES))
PASSES_S = ((0, 90), (60, 1200), (600, 7200), (3600, 30_000), (7200, 60_000), (0, 160_000))
# Time goes forward more often than anything else happens.
EVENTS = st.one_of(
    *(st.builds(Passes, _times(least_s, most_s), st.booleans()) for least_s, most_s in PASSES_S),
    st.builds(JumpsBack, st.one_of(_times(1, 120), _times(1, 40_000))),
    st.builds(Cycles, st.integers(2, SCHEDULERS)),
    st.builds(Reads, st.integers(0, SCHEDULERS - 1)),
    st.builds(Records, st.integers(0, SCHEDULERS - 1)),
    LATER,
    st.builds(Keeps, st.sampled_from(BUSINESSES), PLANS),
    st.builds(Does, st.sampled_from(["pause", "resume", "run_now", "remove"]), TARGETS),
)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Invent one, about a night on which the clocks change, or any."""
    zone = draw(st.sampled_from(ZONES))
    night = draw(st.sampled_from(nights(zone)))
    return Story(
        night + DAY - draw(_times(0, 150_000)),
        draw(FIRST),
        # A life of some days: what is short shows little.
        draw(st.lists(EVENTS, min_size=15, max_size=40)),
    )
