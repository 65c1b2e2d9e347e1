"""A business's work as its jobs page tells it: one shape for the template and for the live stream."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from server import clock
from server.domains.messaging.pages import Addressee
from server.queue import KINDS as CATALOGUE
from server.queue.ledger import WAITS_FOR_UPGRADE
from server.queue.own_jobs import EffectRow, JobRow, PauseRow, QueueRow
from server.web.rows import View, told_time
from server.web.text import inert
from server.web.words import Words

PICK = "job:"
CUSTOMERS_MESSAGE = "webhook_process_job"
KINDS = {
    CUSTOMERS_MESSAGE: "jobs.kind.webhook",
    "message_send_job": "jobs.kind.message",
    "media_fetch_job": "jobs.kind.media",
    "lead_webhook_job": "jobs.kind.leads",
    "lead_import_rows_job": "jobs.kind.leads",
    "leads_moved_job": "jobs.kind.leads",
    "job_given_up_job": "jobs.kind.follow_up",
    "effect_settled_job": "jobs.kind.follow_up",
    "reply_doubted_job": "jobs.kind.follow_up",
}
PROVIDERS = {"whatsapp_bridge": "WhatsApp"}
# What is wrong, and what its owner can do about it.
TROUBLES = {
    "quarantined": ("jobs.why.quarantined", "jobs.todo.quarantined"),
    "expired": ("jobs.why.expired", "jobs.todo.expired"),
    "too_long": ("jobs.why.too_long", "jobs.todo.too_long"),
    "provider": ("jobs.why.provider", "jobs.todo.provider"),
    "broke": ("jobs.why.broke", "jobs.todo.broke"),
    "refused": ("jobs.why.refused", "jobs.todo.refused"),
}
# A reason begins with an error's name where an error of ours or a library's ended the job; a sentence
# is what was found wrong with the work itself.
REASONS = (
    (re.compile(r"TimeoutError\b"), "too_long"),
    (re.compile(r"Provider\w*Error\b"), "provider"),
    (re.compile(r"\w+(Error|Exception|Exit|Interrupt)\b"), "broke"),
    (re.compile(r"."), "refused"),
)
# Why work waits, besides the time that it was given.
DELAYS = (
    (re.compile(re.escape(WAITS_FOR_UPGRADE)), "jobs.why.upgrade"),
    (re.compile(r"TimeoutError\b"), "jobs.why.too_long"),
    (re.compile(r"Provider\w*Error\b|.* is not called for "), "jobs.why.provider"),
    (re.compile(r"\w+(Error|Exception|Exit|Interrupt)\b"), "jobs.why.broke"),
)
PAUSED = {"kind": "jobs.paused.kind", "queue": "jobs.paused.queue", "business": "jobs.paused.business"}
PARTS = {"failed": "jobs.part.failed", "skipped": "jobs.part.skipped", "unknown": "jobs.part.unknown"}
NOT_TOLD = {"total", "done", "left"}

EMPTY_ROW: View = dict.fromkeys(
    (
        *("id", "name", "about", "at_word", "clock", "at", "why", "todo", "reason", "pick", "held_back"),
        *("tries", "href", "counts", "progress", "share", "news", "stale", "stopping", "stop"),
    ),
    "",
)


class JobShape:
    """Turns rows into what a reader of one language, in one business's time zone, sees."""

    def __init__(self, words: Words, time_zone: str, customers: Mapping[UUID, Addressee]) -> None:
        self._words = words
        self._zone = ZoneInfo(time_zone)
        self._customers = customers

    def running(self, row: JobRow) -> View:
        """Show a job that runs: since when, how far, and whether it was told to stop."""
        return self._job(row, "jobs.since") | {
            "stopping": self._words("jobs.stopping") if row.is_stopping else "",
            "stop": "" if row.is_stopping else row.id,
            "reason": "" if row.is_stopping else inert(row.reason or ""),
        }

    def waiting(self, row: JobRow) -> View:
        """Show a job that waits: until when, and what went wrong the last time."""
        is_retry = row.attempts > 0 and row.at > clock.utc_now()
        why = next((key for begins, key in DELAYS if begins.match(row.reason or "")), None)
        return self._job(row, "jobs.next_try" if is_retry else "jobs.due") | {
            "why": self._words(why) if why else "",
            "stop": row.id,
        }

    def ended(self, row: JobRow) -> View:
        """Show a job that ended badly: why, and what to do about it."""
        why, todo = TROUBLES[_trouble(row)]
        return self._job(row, "") | {
            "why": self._words(why),
            "todo": self._words("jobs.todo.held_back" if row.held_back else todo),
            "pick": "" if row.held_back else f"{PICK}{row.id}",
            "held_back": self._words("jobs.held_back") if row.held_back else "",
        }

    def unknown(self, row: EffectRow, addressee: Addressee | None) -> View:
        """Show something of which nobody knows whether it was sent."""
        provider = PROVIDERS.get(row.provider, row.provider)
        return self._row(row.key, told_message(self._words, addressee), row.at) | {
            "why": self._words("jobs.unknown_why", provider=provider),
            "reason": inert(row.reason or ""),
            "href": _href(addressee),
        }

    def queue(self, row: QueueRow) -> View:
        """Show the open work of one kind in figures."""
        counts = self._words("jobs.counts", waiting=str(row.waiting), running=str(row.running))
        told = self._row(f"{row.queue} {row.kind}", self._kind(row.kind), row.oldest_at)
        return told | {"counts": counts, "at_word": self._words("jobs.oldest") if row.oldest_at else ""}

    def pause(self, row: PauseRow) -> View:
        """Show what keeps work waiting: who wanted that, since when and why."""
        name = self._kind(row.name) if row.sort == "kind" else row.name
        told = self._row(f"{row.sort} {row.name}", self._words(PAUSED[row.sort], name=inert(name)), row.at)
        return told | {
            "at_word": self._words("jobs.since"),
            "why": self._words("jobs.paused.by", who=inert(row.paused_by)),
            "reason": inert(row.reason),
            "counts": self._words("jobs.paused.held", n=str(row.held)) if row.held else "",
        }

    def _job(self, row: JobRow, at_word: str) -> View:
        customer = self._customers.get(event_of(row) or UUID(int=0))
        tries = (
            self._words("jobs.tries", n=str(row.attempts), most=str(_tries(row))) if row.attempts > 1 else ""
        )
        return self._row(row.id, self._kind(row.kind), row.at) | {
            "at_word": self._words(at_word) if at_word else "",
            "about": inert(customer.name or self._words("inbox.nameless")) if customer else "",
            "href": _href(customer),
            "tries": tries,
            "reason": inert(row.reason or ""),
            **self._progress(row),
        }

    def _progress(self, row: JobRow) -> View:
        if row.progress is None or row.progress_at is None:
            return {}
        counts = orjson.loads(row.progress)
        settled = counts["total"] - counts.get("left", 0)
        moment = row.progress_at.astimezone(self._zone)
        parts = [self._part(name, count) for name, count in counts.items() if name not in NOT_TOLD and count]
        total = self._words("jobs.progress", n=f"{settled:,}", total=f"{counts['total']:,}")
        return {
            "progress": " · ".join([total, *parts]),
            "share": str(row.progress_share),
            "news": self._words("jobs.as_of", time=f"{moment:%H:%M:%S}"),
            "stale": "yes" if row.is_stale else "",
        }

    def _part(self, name: str, count: int) -> str:
        key = PARTS.get(name)
        return self._words(key, n=f"{count:,}") if key else f"{inert(name)} {count:,}"

    def _row(self, row_id: str, name: str, at: datetime | None) -> View:
        told = {"clock": told_time(at, self._zone), "at": at.isoformat()} if at else {}
        return EMPTY_ROW | {"id": row_id, "name": name} | told

    def _kind(self, kind: str) -> str:
        key = KINDS.get(kind)
        return self._words(key) if key else kind.removesuffix("_job").replace("_", " ")


def told_message(words: Words, addressee: Addressee | None) -> str:
    """Say whom a message of ours is for."""
    name = (addressee.name if addressee else None) or words("inbox.nameless")
    return words("jobs.unknown_to", name=inert(name))


def event_of(row: JobRow) -> UUID | None:
    """Return the event of the inbox that a job is about, if it is about one."""
    if row.kind != CUSTOMERS_MESSAGE:
        return None
    with suppress(ValueError, KeyError, TypeError):
        return UUID(orjson.loads(row.payload)["event_id"])
    return None


def concerns_owner(row: PauseRow) -> bool:
    """Tell whether a pause is the business's own, or of work that its owner knows of or waits for."""
    if row.sort == "business" or row.held:
        return True
    known = [CATALOGUE[kind] for kind in KINDS if kind in CATALOGUE]
    return row.name in {kind.name if row.sort == "kind" else kind.queue for kind in known}


def _trouble(row: JobRow) -> str:
    if row.state in {"quarantined", "expired"}:
        return row.state
    return next((trouble for begins, trouble in REASONS if begins.match(row.reason or "")), "broke")


def _tries(row: JobRow) -> int:
    kind = CATALOGUE.get(row.kind)
    return max(row.attempts, len(kind.retry_after_s) + 1 if kind else 0)


def _href(addressee: Addressee | None) -> str:
    return f"/inbox/{addressee.conversation_id}" if addressee else ""


def events_of(*lists: Sequence[JobRow]) -> list[UUID]:
    """Return the events that these jobs are about."""
    return [event for rows in lists for row in rows if (event := event_of(row))]
