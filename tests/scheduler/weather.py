"""A story played on the product, with several schedulers and a frozen clock, and on the model beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from server.errors import BadInputError
from server.queue import Run, schedules
from server.queue.kinds import KIND_OF, KINDS
from server.queue.schedules import Actor
from server.queue.slots import Plan
from server.queue.timekeeping import DUE, Judged
from server.scheduler import ticks
from server.scheduler.look import look_at_slots
from server.scheduler.schedule import Entry
from tests.engine import BUSINESS, Engine, job_kind
from tests.scheduler.frozen import Clock
from tests.scheduler.model import Expected, Fate, Reading
from tests.scheduler.story import (
    Cycles,
    Does,
    Event,
    JumpsBack,
    Keeps,
    Passes,
    Reads,
    Records,
    Restarts,
    Story,
)

DANA = Actor("Dana", "because")
PAUSED = "paused by Dana: because"
A_DAY, MOMENT = timedelta(hours=25), timedelta(microseconds=1)
LONGEST_CYCLE_S = 60
SLOTS = "SELECT schedule, slot, state, reason, asked_by FROM schedule_slot"
JOBS = """
SELECT job.id, slot.schedule, slot.slot, payload ->> 'slot' AS told
FROM job LEFT JOIN schedule_slot AS slot ON slot.job_id = job.id
"""
EMPTY = "DELETE FROM schedule_slot; DELETE FROM schedule; DELETE FROM schedule_audit; DELETE FROM job"


@dataclass(frozen=True)
class FirstLine:
    """The first line of the timetable."""

    slot: datetime


@dataclass(frozen=True)
class SecondLine:
    """The second."""

    slot: datetime


@dataclass(frozen=True)
class ThirdLine:
    """The third."""

    slot: datetime


@dataclass(frozen=True)
class Errand:
    """What businesses' schedules do."""

    slot: datetime
    thing: str


LINES = (FirstLine, SecondLine, ThirdLine)


@contextmanager
def kinds_of_the_story() -> Iterator[None]:
    """Put the kinds in the catalogue while the block runs; nobody works here."""
    with ExitStack() as stack:
        for payload_type in (*LINES, Errand):
            stack.enter_context(job_kind(payload_type, _nobody_works))
        yield


async def _nobody_works(_run: Run, _payload: object) -> None:
    raise AssertionError("no worker runs in these stories")


class Weather:
    """Plays events; `differences` tells where the model expects something else."""

    def __init__(self, engine: Engine, clock: Clock, patch: pytest.MonkeyPatch, start: datetime) -> None:
        self._engine, self._clock, self._patch = engine, clock, patch
        self._now = start
        self._expected = Expected()
        self._lines: dict[int, Plan | None] = {}
        self._zone = "UTC"
        self._names: dict[int | str, str] = {number: KIND_OF[line].name for number, line in enumerate(LINES)}
        self._held: dict[int, tuple[list[Judged], dict[str, Reading]]] = {}

    async def play(self, story: Story) -> None:
        """Play a story to its end: whoever stood still goes on, and a quiet day follows."""
        await self._clock.show(self._now)
        for event in (story.first, *story.events):
            await self._play(event)
        for scheduler in list(self._held):
            await self._record(scheduler)
        for _ in range(2):
            await self._play(Passes(A_DAY, cycles=True))

    async def differences(self) -> list[tuple[str, datetime, Fate | None, Fate | None]]:
        """Return each slot that is not as it must be: schedule, moment, its fate, and the right one."""
        rows = await self._engine.look.fetch(SLOTS)
        found = {(row["schedule"], row["slot"]): (row["state"], row["reason"]) for row in rows}
        wanted = {
            (name, at): fate for name, line in self._expected.lines.items() for at, fate in line.slots.items()
        }
        wrong = sorted(one for one in found | wanted if found.get(one) != wanted.get(one))
        return [(*one, found.get(one), wanted.get(one)) for one in wrong]

    @property
    def expected_jobs(self) -> int:
        """Return how many jobs must have been asked for, those of removed schedules too."""
        return len(self._expected.jobs)

    async def _play(self, event: Event) -> None:
        # Nothing happens at the very moment of something else, as on a real clock.
        await self._show(self._now + MOMENT)
        match event:
            case Passes():
                await self._show(self._now + event.time)
                if event.cycles:
                    await self._cycle(1)
            case JumpsBack():
                await self._show(self._now - event.time)
            case Cycles():
                await self._cycle(event.at_once)
            case Reads():
                await self._read(event.scheduler)
            case Records():
                await self._record(event.scheduler)
            case Restarts():
                await self._restart(event)
            case Keeps():
                await self._keep(event)
            case Does():
                await self._do(event.deed, self._names.get(event.target, "nobody's"))

    async def _show(self, moment: datetime) -> None:
        self._now = moment
        await self._clock.show(moment)

    async def _cycle(self, at_once: int) -> None:
        async def cycle() -> None:
            # As long as another is at it, its slots are due.
            while (await look_at_slots(self._engine.scheduler)).are_due_for(timedelta()):
                await ticks.tick(self._engine.scheduler)

        async with asyncio.timeout(LONGEST_CYCLE_S), asyncio.TaskGroup() as schedulers:
            for _ in range(at_once):
                schedulers.create_task(cycle())
        self._expected.cycle(self._now)

    async def _read(self, scheduler: int) -> None:
        async with self._engine.scheduler.driver() as connection:
            rows = await connection.fetch(DUE, sorted(KINDS), ticks.MOST_SCHEDULES)
            judged = await ticks._judge(connection, rows) if rows else []
        readings = self._expected.read(self._now)
        assert {one.schedule.name for one in judged if one.slots} == set(readings)
        self._held[scheduler] = (judged, readings)

    async def _record(self, scheduler: int) -> None:
        judged, readings = self._held.pop(scheduler, ([], {}))
        async with self._engine.scheduler.driver() as connection:
            await ticks._record(connection, judged)
        for one in judged:
            if one.slots:
                self._expected.record(one.schedule.name, readings[one.schedule.name], first=len(one.slots))

    async def _restart(self, event: Restarts) -> None:
        self._lines |= event.changes
        self._zone = event.zone or self._zone
        entries = [
            Entry(
                *(LINES[number], plan.cron, plan.catch_up, plan.longest_age),
                zone=None if plan.zone == "UTC" else plan.zone,
            )
            for number, plan in sorted(self._lines.items())
            if plan is not None
        ]
        self._patch.setattr(ticks, "TIMETABLE", tuple(entries))
        await ticks.register(self._engine.scheduler, self._zone)
        plans = {one.kind.name: one.plan(self._zone) for one in entries}
        self._expected.restart(plans, [KIND_OF[line].name for line in LINES], self._now)

    async def _keep(self, event: Keeps) -> None:
        async with self._engine.api.driver_transaction(BUSINESS) as connection:
            name, _ = await schedules.keep(
                *(connection, Errand, {"thing": event.key}, event.plan),
                business_id=BUSINESS,
                key=event.key,
                label="An errand",
                by=DANA,
            )
        self._names[event.key] = name
        self._expected.keep(name, event.plan, self._now)

    async def _do(self, deed: str, name: str) -> None:
        line = self._expected.lines.get(name)
        is_house = name in {KIND_OF[one].name for one in LINES}
        refuses = line is None or (deed == "pause" and line.paused) or (deed == "resume" and not line.paused)
        # The timetable is an operator's, and only its release removes a line of it.
        whose = self._engine.scheduler if is_house and deed != "remove" else self._engine.api
        is_refused = refuses and deed != "remove"
        # Outside of the transaction, which does not commit then.
        with pytest.raises(BadInputError) if is_refused else nullcontext():
            async with whose.driver_transaction(BUSINESS) as connection:
                await getattr(schedules, deed)(connection, name, by=DANA)
        match deed:
            case _ if line is None or refuses:
                return
            case "pause":
                self._expected.pause(name, PAUSED, self._now)
            case "resume":
                self._expected.resume(name, self._now)
            case "run_now":
                self._expected.run_now(name, DANA.reason, self._now)
            case "remove" if not is_house:
                self._expected.remove(name)
