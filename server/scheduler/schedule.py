"""The whole timetable of the installation on one page. Businesses' own schedules are rows beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from server import clock
from server.errors import BadInputError, StartRefusedError
from server.queue.catalog import (
    CleanupOldRecordings,
    InboxCleanup,
    LoginCleanup,
    MediaCleanup,
    RemindersCleanup,
    RemindersTick,
    TemplatesRefresh,
    WebhooksCleanup,
    WhatsappSessionsCleanup,
)
from server.queue.kinds import KIND_OF, JobKind
from server.queue.slots import CatchUp, Plan
from server.queue.timekeeping import payload_at


@dataclass(frozen=True)
class Entry:
    """One line of the timetable. `longest_age` is how late a slot may still start; `facts` are its payload.

    Without a zone it is in the installation's, `SCHEDULER_TIMEZONE`.
    """

    payload_type: type
    cron: str
    catch_up: CatchUp = CatchUp.LATEST
    longest_age: timedelta = timedelta(hours=12)
    zone: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> JobKind:
        """Return the kind of its jobs; its name is the entry's too."""
        return KIND_OF[self.payload_type]

    def plan(self, zone: str) -> Plan:
        """Return when it runs, in an installation of this zone."""
        return Plan(self.cron, self.zone or zone, self.catch_up, self.longest_age)


TIMETABLE = (
    Entry(RemindersTick, "* * * * *"),
    Entry(WhatsappSessionsCleanup, "*/5 * * * *"),
    Entry(RemindersCleanup, "0 3 * * *"),
    Entry(CleanupOldRecordings, "0 4 * * *"),
    Entry(MediaCleanup, "15 4 * * *"),
    Entry(InboxCleanup, "30 3 * * *"),
    Entry(LoginCleanup, "45 3 * * *"),
    Entry(WebhooksCleanup, "15 4 * * *"),
    Entry(TemplatesRefresh, "0 5 * * *"),
)


def check_timetable(zone: str) -> None:
    """Raise StartRefusedError naming the entry that cannot be kept."""
    now, names = clock.utc_now(), set()
    for entry in TIMETABLE:
        if entry.kind.name in names:
            raise StartRefusedError(f"The timetable's entry {entry.kind.name} stands there twice.")
        names.add(entry.kind.name)
        try:
            first = entry.plan(zone).first_after(now)
            entry.kind.decode(payload_at(entry.kind, entry.facts, first), entry.kind.version)
        except BadInputError as error:
            raise StartRefusedError(
                f"The timetable's entry {entry.kind.name} cannot be kept: {error}"
            ) from error
