"""What the timetable and its policies say must have happened: no store, no cycle, nothing of the product's.

Only the words of a plan and of its catch-up are the product's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from server.queue.slots import CatchUp, Plan
from tests.scheduler.moments import moments

TOO_OLD, LATER = "too old when a scheduler was there again", "a later slot stands for it"
MISSED = "missed, and not to be caught up"
# State and reason of a slot, in the words of its row.
Fate = tuple[str, str | None]
RUNS: Fate = ("enqueued", None)


@dataclass
class Line:
    """A schedule: what was recorded up to its watermark stands."""

    plan: Plan
    watermark: datetime
    slots: dict[datetime, Fate] = field(default_factory=dict)
    paused: str | None = None
    retired: bool = False
    # Whoever read it before a change records nothing of it after.
    changes: int = 0


@dataclass(frozen=True)
class Reading:
    """What was due of a line when somebody read it."""

    line: Line
    changes: int
    watermark: datetime
    fates: Sequence[tuple[datetime, Fate]]


class Expected:
    """All lines by name, and every job that must have been asked for, as its schedule's name and slot."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.jobs: set[tuple[str, datetime]] = set()

    def cycle(self, now: datetime) -> None:
        """Record all that is due."""
        for name in self.lines:
            self._settle(name, now)

    def read(self, now: datetime) -> dict[str, Reading]:
        """Return what is due, by name."""
        found = {name: self._read(line, now) for name, line in self.lines.items()}
        return {name: reading for name, reading in found.items() if reading.fates}

    def record(self, name: str, reading: Reading, *, first: int) -> None:
        """Record the first so many slots of a reading, unless somebody did or the line changed meanwhile."""
        line = self.lines.get(name)
        if line is not reading.line or (line.changes, line.watermark) != (reading.changes, reading.watermark):
            return
        for at, fate in reading.fates[:first]:
            if at not in line.slots:
                self._keep(name, at, fate)
            line.watermark = at

    def restart(self, plans: Mapping[str, Plan], everything: Iterable[str], now: datetime) -> None:
        """Take the timetable of another release; of `everything` that it lacks no more slots come."""
        for name, plan in plans.items():
            line = self.lines.setdefault(name, Line(plan, now))
            if line.plan != plan or line.retired:
                line.plan, line.retired, line.changes = plan, False, line.changes + 1
        for name in set(everything) & set(self.lines) - set(plans):
            line = self.lines[name]
            if not line.retired:
                line.retired, line.changes = True, line.changes + 1

    def keep(self, name: str, plan: Plan, now: datetime) -> None:
        """Make a schedule or change it: other moments count from now on, never from before a recorded one."""
        self._settle(name, now)
        line = self.lines.setdefault(name, Line(plan, now))
        if (line.plan.cron, line.plan.zone) != (plan.cron, plan.zone):
            line.watermark = max(line.watermark, now)
        line.plan, line.changes = plan, line.changes + 1

    def pause(self, name: str, why: str, now: datetime) -> None:
        """Skip from now on."""
        self._settle(name, now)
        line = self.lines[name]
        line.paused, line.changes = why, line.changes + 1

    def resume(self, name: str, now: datetime) -> None:
        """Run again from now on."""
        self._settle(name, now)
        line = self.lines[name]
        line.paused, line.changes = None, line.changes + 1

    def run_now(self, name: str, why: str, now: datetime) -> None:
        """Run once, beside the plan."""
        self._keep(name, now, ("enqueued", why))

    def remove(self, name: str) -> None:
        """Forget a schedule with its slots; its jobs stay."""
        del self.lines[name]

    def _settle(self, name: str, now: datetime) -> None:
        if line := self.lines.get(name):
            reading = self._read(line, now)
            self.record(name, reading, first=len(reading.fates))

    def _keep(self, name: str, at: datetime, fate: Fate) -> None:
        self.lines[name].slots[at] = fate
        if fate[0] == "enqueued":
            self.jobs.add((name, at))

    def _read(self, line: Line, now: datetime) -> Reading:
        passed = [] if line.retired else moments(line.plan.cron, line.plan.zone, line.watermark, now)
        fates = [(at, line.paused or _why_not(line.plan, at, passed[-1], now)) for at in passed]
        told: list[tuple[datetime, Fate]] = [(at, ("skipped", why) if why else RUNS) for at, why in fates]
        return Reading(line, line.changes, line.watermark, told)


def _why_not(plan: Plan, at: datetime, newest: datetime, now: datetime) -> str | None:
    if now - at > plan.longest_age:
        return TOO_OLD
    if plan.catch_up is CatchUp.LATEST and at != newest:
        return LATER
    if plan.catch_up is CatchUp.NONE and (at != newest or now - at > timedelta(minutes=1)):
        return MISSED
    return None
