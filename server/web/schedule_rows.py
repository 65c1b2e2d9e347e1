"""Schedules as their page tells them: one shape for the template and for the live stream."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from server.queue import slots
from server.queue.schedules import NO_REASON, SKIPPED_COUNTED
from server.queue.timekeeping import RETIRED
from server.web.cron_words import say_cron
from server.web.keeper import Keeper, Kept
from server.web.rows import View
from server.web.text import duration, inert
from server.web.words import Words

KINDS = {
    "reminders_tick_job": "schedule.kind.reminders",
    "whatsapp_sessions_cleanup_job": "schedule.kind.sessions",
    "inbox_cleanup_job": "schedule.kind.inbox",
    "login_cleanup_job": "schedule.kind.logins",
    "reminders_cleanup_job": "schedule.kind.old_reminders",
    "cleanup_old_recordings_job": "schedule.kind.recordings",
    "media_cleanup_job": "schedule.kind.media",
    "webhooks_cleanup_job": "schedule.kind.webhooks",
    "templates_refresh_job": "schedule.kind.templates",
}
# How a slot's job stands; before it is known, or long after, no more than that it was handed on.
HOW = {
    "ready": "schedule.how.ready",
    "running": "schedule.how.running",
    "done": "schedule.how.done",
    "failed": "schedule.how.failed",
    "quarantined": "schedule.how.quarantined",
    "expired": "schedule.how.expired",
    "cancelled": "schedule.how.cancelled",
    "enqueued": "schedule.how.enqueued",
    "skipped": "schedule.how.skipped",
}
ENDED_BADLY = {"failed", "quarantined", "expired"}
REASONS = {
    slots.TOO_OLD: "schedule.why.too_old",
    slots.SUPERSEDED: "schedule.why.superseded",
    slots.MISSED: "schedule.why.missed",
}
KEEPER = {
    Kept.YES: ("schedule.keeper.yes", ""),
    Kept.NO: ("schedule.keeper.no", "schedule.keeper.no_todo"),
    Kept.UNKNOWN: ("schedule.keeper.unknown", "schedule.keeper.unknown_todo"),
}
PAUSED = re.compile(r"paused by (.+?): (.*)", re.DOTALL)
MEMBER = re.compile(r"member ([0-9a-f-]{36})")
LATE_FROM_S = 1.0
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400

EMPTY_ENTRY: View = dict.fromkeys(
    (
        *("id", "name", "when", "cron", "zone", "paused", "pause_reason", "trouble", "trouble_reason"),
        *("next_at", "next_clock", "next_utc", "last_at", "last_clock", "how", "mood", "late", "by"),
        *("lag", "is_late", "skipped", "run", "pause", "resume"),
    ),
    "",
) | {"skips": []}
EMPTY_KEEPER: View = dict.fromkeys(("id", "kept", "told", "name", "todo", "as_of"), "")


class ScheduleShape:
    """Turns rows into what a reader of one language sees; `names` are those of the business's members."""

    def __init__(self, words: Words, names: Mapping[UUID, str]) -> None:
        self._words = words
        self._names = names

    def entry(self, row: asyncpg.Record, skipped: Sequence[asyncpg.Record]) -> View:
        """Show a schedule that can only be looked at; `skipped` are its latest skipped slots."""
        zone = zone_of(row["zone"])
        return EMPTY_ENTRY | {
            "id": row["name"],
            "name": self.name(row["label"], row["kind"]),
            "when": say_cron(self._words, row["cron"]),
            "cron": inert(row["cron"]),
            "zone": inert(row["zone"]),
            "skipped": self._count(row["skipped"]),
            "skips": self._skips(row, skipped, zone),
            **self._pause(row),
            **self._trouble(row["trouble"]),
            **self._next(row, zone),
            **self._last(row, zone),
        }

    def own(self, row: asyncpg.Record, skipped: Sequence[asyncpg.Record]) -> View:
        """Show a schedule of the business's own, with what its owner may do."""
        is_paused = row["paused_at"] is not None
        return self.entry(row, skipped) | {
            "run": row["name"],
            "pause": "" if is_paused else row["name"],
            "resume": row["name"] if is_paused else "",
        }

    def keeper(self, keeper: Keeper, time_zone: str) -> View:
        """Show who keeps time, and when that was looked up."""
        told, todo = KEEPER[keeper.kept]
        moment = keeper.at.astimezone(zone_of(time_zone))
        return {
            "id": "keeper",
            "kept": keeper.kept.value,
            "told": self._words(told),
            "name": inert(keeper.name),
            "todo": self._words(todo) if todo else "",
            "as_of": self._words("schedule.as_of", time=f"{moment:%H:%M:%S}"),
        }

    def name(self, label: str | None, kind: str) -> str:
        """Say what a schedule is for: in its business's words, or in ours for the installation's own."""
        if label:
            return inert(label)
        key = KINDS.get(kind)
        return self._words(key) if key else inert(kind.removesuffix("_job").replace("_", " "))

    def _next(self, row: asyncpg.Record, zone: ZoneInfo) -> View:
        at: datetime | None = row["next_slot"]
        if at is None:
            return {"next_clock": self._words("schedule.never"), "lag": self._words("schedule.never")}
        is_late = row["lag_s"] >= LATE_FROM_S
        utc = told_slot(at, ZoneInfo("UTC"), now=row["now"])
        return {
            "next_at": at.isoformat(),
            "next_clock": told_slot(at, zone, now=row["now"]),
            "next_utc": "" if zone.key == "UTC" else utc,
            "lag": self._late(row["lag_s"]),
            "is_late": "yes" if is_late else "",
        }

    def _last(self, row: asyncpg.Record, zone: ZoneInfo) -> View:
        at: datetime | None = row["last_slot"]
        if at is None:
            return {"last_clock": self._words("schedule.not_yet")}
        how = row["job_state"] or row["last_state"]
        is_skipped, is_by_hand = row["last_state"] == "skipped", row["asked_by"] is not None
        return {
            "last_at": at.isoformat(),
            "last_clock": told_slot(at, zone, now=row["now"]),
            "how": self._words(HOW[how]) if how in HOW else how,
            "mood": "bad" if how in ENDED_BADLY else "",
            "late": "" if is_skipped or is_by_hand else self._late(row["lateness_s"]),
            "by": self._words("schedule.by_hand", who=self._who(row["asked_by"])) if is_by_hand else "",
        }

    def _late(self, seconds: float) -> str:
        if seconds < LATE_FROM_S:
            return self._words("schedule.on_time")
        return self._words("schedule.late", time=told_span(self._words, seconds))

    def _pause(self, row: asyncpg.Record) -> View:
        if row["paused_at"] is None:
            return {}
        since = told_slot(row["paused_at"], zone_of(row["zone"]), now=row["now"])
        who = self._who(row["paused_by"] or "")
        return {
            "paused": self._words("schedule.paused", who=who, time=since),
            "pause_reason": self._reason(row["pause_reason"]),
        }

    def _trouble(self, trouble: str | None) -> View:
        if not trouble:
            return {}
        if trouble == RETIRED:
            return {"trouble": self._words("schedule.retired")}
        return {"trouble": self._words("schedule.trouble"), "trouble_reason": inert(trouble)}

    def _count(self, skipped: int) -> str:
        return f"{skipped:,}+" if skipped >= SKIPPED_COUNTED else f"{skipped:,}"

    def _skips(self, row: asyncpg.Record, skipped: Sequence[asyncpg.Record], zone: ZoneInfo) -> list[str]:
        """Say in a line each which slots were skipped one after another, and why."""
        lines = []
        for reason, slots_of_it in groupby(skipped, itemgetter("reason")):
            last, *others = [told_slot(one["slot"], zone, now=row["now"]) for one in slots_of_it]
            when = f"{others[-1]} – {last} ({len(others) + 1})" if others else last
            lines.append(f"{when}: {self._why(reason)}")
        is_cut = row["skipped"] >= SKIPPED_COUNTED or row["skipped"] > len(skipped)
        return [*lines, self._words("schedule.more")] if is_cut else lines

    def _why(self, reason: str | None) -> str:
        if paused := PAUSED.fullmatch(reason or ""):
            who, why = self._who(paused[1]), self._reason(paused[2])
            return self._words("schedule.why.paused", who=who, why=why)
        return self._reason(reason)

    def _reason(self, reason: str | None) -> str:
        if reason == NO_REASON:
            return self._words("schedule.no_reason")
        key = REASONS.get(reason or "")
        return self._words(key) if key else inert(reason or "")

    def _who(self, actor: str) -> str:
        member = MEMBER.fullmatch(actor)
        if member is None:
            return inert(actor)
        name = self._names.get(UUID(member[1]))
        return inert(name) if name else self._words("schedule.a_member")


def members_in(listed: Iterable[asyncpg.Record], skipped: Iterable[asyncpg.Record]) -> set[UUID]:
    """Return the members of the business whom these rows name."""
    actors = [row[column] for row in listed for column in ("paused_by", "asked_by")]
    actors += [paused[1] for row in skipped if (paused := PAUSED.fullmatch(row["reason"] or ""))]
    return {UUID(member[1]) for actor in actors if actor and (member := MEMBER.fullmatch(actor))}


def told_slot(at: datetime, zone: ZoneInfo, *, now: datetime) -> str:
    """Say a moment in its zone by its hour, and by its day unless that is today's."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    time = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
    if local.date() == today:
        return time
    year = f".{local.year}" if local.year != today.year else ""
    return f"{local.day}.{local.month}{year} {time}"


def told_span(words: Words, seconds: float) -> str:
    """Say how long something took, in the unit that reads best."""
    if seconds < 2 * MINUTE_S:
        return duration(
            seconds, milliseconds_word=words("time.milliseconds"), seconds_word=words("time.seconds")
        )
    if seconds < 2 * HOUR_S:
        return words("time.minutes", n=f"{seconds / MINUTE_S:.0f}")
    if seconds < 2 * DAY_S:
        return words("time.hours", n=f"{seconds / HOUR_S:.0f}")
    return words("time.days", n=f"{seconds / DAY_S:.0f}")


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone; UTC where there is none of this name, as a schedule's trouble then says."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")
