"""When a schedule's slots come, and which of those that passed still run: pure decisions.

Expressions are cron's: five fields, or six with seconds first. An expression whose minute or hour is free
(`*`, `*/5`) keeps real time. One that names its hour keeps the clock on the wall: a time that a night in
spring leaves out comes at the end of the gap, one that a night in autumn has twice comes once (Debian's cron,
which `cronsim` follows).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from server.errors import BadInputError

# What a scheduler does as it comes due is on time; cron itself knows no finer time than this.
ON_TIME = timedelta(seconds=60)
LONGEST_CRON = 100
WITH_SECONDS = 6
# Why a slot that passed does not run.
TOO_OLD = "too old when a scheduler was there again"
SUPERSEDED = "a later slot stands for it"
MISSED = "missed, and not to be caught up"


class CatchUp(StrEnum):
    """What happens to slots that passed while no scheduler ran."""

    ALL = "all"
    LATEST = "latest"
    NONE = "none"


@dataclass(frozen=True)
class Plan:
    """When something runs, and how late it still may."""

    cron: str
    zone: str
    catch_up: CatchUp = CatchUp.LATEST
    longest_age: timedelta = timedelta(hours=12)

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Return the slots after a moment, in UTC, oldest first; raise BadInputError `bad_schedule`."""
        try:
            zone = ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise BadInputError("bad_schedule", f"{self.zone} is no time zone.") from error
        return _later(_moments(self.cron, moment.astimezone(zone)), moment)

    def first_after(self, moment: datetime) -> datetime:
        """Return the first slot after a moment; raise BadInputError `bad_schedule` where none ever comes."""
        first = next(self.after(moment), None)
        if first is None:
            raise BadInputError("bad_schedule", f"{self.cron} never comes.")
        return first


@dataclass(frozen=True)
class Slot:
    """One moment of a schedule, in UTC; `skipped` holds the reason where it does not run."""

    at: datetime
    skipped: str | None = None


@dataclass(frozen=True)
class Due:
    """The slots that passed, oldest first, `most` of them at most, and the first that comes after them."""

    slots: Sequence[Slot]
    following: datetime


def due_slots(plan: Plan, *, after: datetime, until: datetime, most: int, paused: str | None = None) -> Due:
    """Return what lies in (after, until] and what becomes of it; `paused` is why all of it is skipped."""
    moments: list[datetime] = []
    for moment in plan.after(after):
        if moment > until or len(moments) == most:
            return Due(_judged(plan, moments, until, moment, paused), moment)
        moments.append(moment)
    raise BadInputError("bad_schedule", f"{plan.cron} never comes again.")


def _judged(
    plan: Plan, moments: Sequence[datetime], until: datetime, following: datetime, paused: str | None
) -> list[Slot]:
    newest = moments[-1] if moments and following > until else None
    return [Slot(at, paused or _reason(plan, until - at, is_newest=at == newest)) for at in moments]


def _reason(plan: Plan, age: timedelta, *, is_newest: bool) -> str | None:
    if age > plan.longest_age:
        return TOO_OLD
    match plan.catch_up:
        case CatchUp.ALL:
            return None
        case CatchUp.LATEST:
            return None if is_newest else SUPERSEDED
        case CatchUp.NONE:
            return None if is_newest and age <= ON_TIME else MISSED


def _moments(cron: str, start: datetime) -> CronSim:
    if len(cron) > LONGEST_CRON:
        raise BadInputError("bad_schedule", f"A cron expression has at most {LONGEST_CRON} characters.")
    fields = cron.split()
    if len(fields) not in {WITH_SECONDS - 1, WITH_SECONDS}:
        raise BadInputError("bad_schedule", f"{cron} is no cron expression: it has {len(fields)} fields.")
    # The library keeps the clock on the wall for five fields alone.
    if len(fields) == WITH_SECONDS and not (fields[1].startswith("*") and fields[2].startswith("*")):
        raise BadInputError("bad_schedule", f"{cron} names seconds: its minute and hour must begin with *.")
    try:
        # "Every twenty minutes of the hour two" names its hour: to the library it must name its minutes too.
        if len(fields) < WITH_SECONDS and fields[0].startswith("*") and not fields[1].startswith("*"):
            minutes = ",".join(str(one) for one in sorted(CronSim(cron, start).minutes))
            return CronSim(" ".join([minutes, *fields[1:]]), start)
        return CronSim(cron, start)
    except CronSimError as error:
        raise BadInputError("bad_schedule", f"{cron} is no cron expression: {error}.") from error


def _later(moments: Iterable[datetime], moment: datetime) -> Iterator[datetime]:
    """Leave out what does not come after the one before.

    Several times within a gap all come at its end; and between the two runs of an hour that a night has
    twice, the next time on the wall may be one that has been.
    """
    latest = moment
    for one in moments:
        at = one.astimezone(UTC)
        if at > latest:
            latest = at
            yield at
