"""The whole timetable on one page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from server.errors import StartRefusedError
from server.queue.catalog import InboxCleanup, LoginCleanup, WhatsappSessionsCleanup


class CatchUp(StrEnum):
    """What happens to slots that passed while no scheduler ran."""

    ALL = "all"
    LATEST = "latest"
    NONE = "none"


@dataclass(frozen=True)
class Entry:
    """One line of the timetable. `longest_age` is how late a slot may still start."""

    name: str
    cron: str
    payload: Callable[[datetime], object]
    catch_up: CatchUp = CatchUp.LATEST
    longest_age: timedelta = timedelta(hours=12)


TIMETABLE = (
    Entry("whatsapp_sessions_cleanup_job", "*/5 * * * *", WhatsappSessionsCleanup),
    Entry("inbox_cleanup_job", "30 3 * * *", InboxCleanup),
    Entry("login_cleanup_job", "45 3 * * *", LoginCleanup),
)


def check_timetable(zone: ZoneInfo) -> None:
    """Raise StartRefusedError naming the entry whose cron expression cannot be read."""
    for entry in TIMETABLE:
        try:
            CronSim(entry.cron, datetime.now(zone))
        except CronSimError as error:
            raise StartRefusedError(f"The timetable's entry {entry.name} has a bad cron: {error}.") from error
