"""Which slots are due, and which of those run: pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

from server.scheduler.schedule import CatchUp, Entry

# A scheduler that was away for weeks must not build an endless list: older slots are not named one by one.
MOST_SLOTS = 5000


@dataclass(frozen=True)
class Slot:
    """One moment of an entry, in UTC; `skipped` holds the reason where it will not run."""

    at: datetime
    skipped: str | None = None


def due_slots(entry: Entry, *, after: datetime, until: datetime, zone: ZoneInfo) -> list[Slot]:
    """Return the slots in (after, until] with what its policy says of each, oldest first."""
    moments: list[datetime] = []
    for moment in CronSim(entry.cron, after.astimezone(zone)):
        if moment > until or len(moments) == MOST_SLOTS:
            break
        moments.append(moment.astimezone(UTC))
    return [Slot(at, _reason(entry, at, latest=at == moments[-1], until=until)) for at in moments]


def _reason(entry: Entry, at: datetime, *, latest: bool, until: datetime) -> str | None:
    if until - at > entry.longest_age:
        return "too old when a scheduler was there again"
    match entry.catch_up:
        case CatchUp.ALL:
            return None
        case CatchUp.LATEST:
            return None if latest else "a later slot stands for it"
        case CatchUp.NONE:
            return None if latest and (until - at).total_seconds() < 60 else "missed, and not to be caught up"  # noqa: PLR2004 -- one minute, cron's own grain
