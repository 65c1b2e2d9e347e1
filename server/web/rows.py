"""Rows as pages show them: one shape for the template and for the live stream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from server import clock
from server.domains import media, messaging
from server.domains.messaging.attachments import NOTHING, Attached
from server.domains.messaging.pages import ConversationRow, Journey, MessageRow
from server.web.bubbles import AUTHORS, KINDS, Bubble, anchor, fingerprint
from server.web.steps import State, Step, tell_steps
from server.web.text import duration, inert
from server.web.words import Words

TONES = 6
STATUSES = {
    "queued": "status.queued",
    "sending": "status.sending",
    "unknown": "status.unknown",
    "sent": "status.sent",
    "delivered": "status.delivered",
    "read": "status.read",
    "failed": "status.failed",
}
# What we say ourselves of an answer that did not go out, or may not have. Anything else is a provider's.
REASONS = {
    messaging.GIVEN_UP["failed"]: "reason.failed",
    messaging.GIVEN_UP["quarantined"]: "reason.quarantined",
    messaging.GIVEN_UP["expired"]: "reason.expired",
    messaging.GIVEN_UP["cancelled"]: "reason.cancelled",
    messaging.NOT_GONE_OUT: "reason.not_gone_out",
    messaging.NOBODY_KNOWS: "reason.nobody_knows",
    messaging.WINDOW_CLOSED: "reason.window_closed",
    messaging.UNWANTED: "reason.unwanted",
    f"{messaging.NOT_HAD}: {media.TOO_LARGE}": "reason.file.too_large",
    f"{messaging.NOT_HAD}: {media.EMPTY}": "reason.file.empty",
    f"{messaging.NOT_HAD}: {media.NOT_FETCHED}": "reason.file.not_fetched",
    f"{messaging.NOT_HAD}: {media.WRONG_KIND}": "reason.file.wrong_kind",
}
MOST_UNREAD = 99
STEPS = {
    "received": "steps.received",
    "stored": "steps.stored",
    "enqueued": "steps.enqueued",
    "running": "steps.running",
    "drafted": "steps.drafted",
    "sent": "steps.sent",
    "delivered": "steps.delivered",
}

View = dict[str, Any]

EMPTY_CONVERSATION: View = dict.fromkeys(
    (
        "id",
        "href",
        "person",
        "name",
        "initial",
        "snippet",
        "by",
        "clock",
        "at",
        "needs_person",
        "answering",
        "mode",
        "unread",
        "unread_word",
    ),
    "",
) | {"tone": "0"}
EMPTY_MESSAGE: View = dict.fromkeys(
    (
        "id",
        "side",
        "author",
        "by",
        "anchor",
        "kind",
        "nodes_id",
        "text",
        "status",
        "status_word",
        "reason",
        "clock",
        "at",
        "again",
        "doubted",
        "can_quote",
    ),
    "",
) | {"position": 0, "sources": [], "nodes": []}


class Shape:
    """Turns rows into what a reader of one language, in one business's time zone, sees."""

    def __init__(self, words: Words, time_zone: str, *, folder: str, query: str = "") -> None:
        """`folder` is the address under which a conversation opens, such as /inbox/; `query` follows it."""
        self._query = query
        self._words = words
        self._zone = ZoneInfo(time_zone)
        self._folder = folder
        self._bubble = Bubble(words)

    def conversation(self, row: ConversationRow) -> View:
        """Return one line of the inbox, which also heads an open conversation."""
        name = inert(row.name or row.phone or self._words("inbox.nameless")).strip()
        return {
            "id": str(row.id),
            "href": f"{self._folder}{row.id}{self._query}",
            "person": f"/leads/{row.contact_id}",
            "name": name,
            "initial": next((letter.upper() for letter in name if letter.isalpha()), "#"),
            "tone": str(row.id.int % TONES),
            "snippet": self._snippet(row),
            "by": self._words(AUTHORS[row.last_author]) if row.last_author not in {None, "customer"} else "",
            "clock": self._clock(row.last_message_at),
            "at": row.last_message_at.isoformat(),
            "needs_person": self._words("inbox.needs_person") if row.needs_person else "",
            "answering": told_answering(self._words, row, self._zone),
            "mode": row.answering,
            "unread": "99+" if row.unread > MOST_UNREAD else str(row.unread or ""),
            "unread_word": self._words("inbox.unread", n=str(row.unread)) if row.unread else "",
        }

    def message(self, row: MessageRow, attached: Attached = NOTHING) -> View:
        """Return one bubble."""
        nodes = self._bubble.nodes(row, attached)
        return {
            "id": str(row.id),
            "position": row.position,
            "side": row.direction,
            "author": row.author,
            "by": self._writer(row),
            "anchor": anchor(row.id),
            "kind": row.kind if row.kind in KINDS else "",
            "text": inert(row.text or ""),
            "nodes": nodes,
            "nodes_id": fingerprint(nodes),
            "status": row.status,
            "status_word": self._words(STATUSES[row.status]) if row.direction == "out" else "",
            "reason": self._reason(row.status_reason) if _is_explained(row) else "",
            "sources": [inert(title) for title in _titles(row.sources)],
            "clock": self._clock(row.created_at),
            "at": row.created_at.isoformat(),
            "again": "yes" if row.status == "failed" and row.is_letter else "",
            "doubted": "yes" if row.status == "unknown" and row.is_letter else "",
            "can_quote": "yes" if row.provider_id else "",
        }

    def _writer(self, row: MessageRow) -> str:
        """Say who wrote for the business: a member by name, also beside what they let the assistant say."""
        if row.author == "customer":
            return ""
        said = self._words(AUTHORS[row.author])
        name = row.details.get("by") or row.details.get("edited_by") or row.details.get("approved_by")
        return f"{said} · {inert(name)}" if isinstance(name, str) and name else said

    def steps(self, journey: Journey | None) -> View:
        """Return the strip: how each step stands, how long after the first it came, and a note."""
        if journey is None:
            waiting = [{"name": name, "state": State.TODO, "after": ""} for name in STEPS]
            return {"event": "", "steps": waiting, "latest": waiting[0], "note": "", "mood": ""}
        told = tell_steps(journey)
        noted = next((step for step in told if step.note), None)
        mood = noted.state if noted else State.DONE
        steps: list[View] = [
            {
                "name": step.name,
                "state": step.state,
                "after": self._after((step.at - journey.received_at).total_seconds()) if step.at else "",
            }
            for step in told
        ]
        return {
            "event": inert(journey.provider_event_id),
            "steps": steps,
            "latest": next(step for step in reversed(steps) if step["state"] is mood),
            "note": self._note(noted) if noted else "",
            "mood": mood,
        }

    def _note(self, step: Step) -> str:
        return " ".join(filter(None, (self._words(step.note or ""), self._reason(step.detail))))

    def _reason(self, reason: str | None) -> str:
        key = REASONS.get(reason or "")
        if key is None and (reason or "").startswith(f"{messaging.NOT_HAD}: "):
            why = inert((reason or "").removeprefix(f"{messaging.NOT_HAD}: "))
            return self._words("reason.file_not_had", why=why)
        return self._words(key) if key else inert(reason or "")

    def _after(self, seconds: float) -> str:
        return duration(
            seconds,
            milliseconds_word=self._words("time.milliseconds"),
            seconds_word=self._words("time.seconds"),
        )

    def _snippet(self, row: ConversationRow) -> str:
        if row.last_text:
            return inert(" ".join(row.last_text.split()))
        kind = KINDS.get(row.last_kind or "")
        return self._words(kind) if kind else ""

    def _clock(self, moment: datetime) -> str:
        return told_time(moment, self._zone)


def told_answering(words: Words, row: ConversationRow, zone: ZoneInfo) -> str:
    """Say who answers: the assistant, or who took over and until when."""
    if row.answering == "on":
        return words("answering.on")
    who = inert(row.taken_by) if row.taken_by else words("author.person")
    if row.answering == "paused" and row.paused_until is not None:
        return words("answering.paused_until", who=who, time=told_end(row.paused_until, zone))
    return words("answering.off_by", who=who) if row.taken_by else words("answering.off")


def told_time(moment: datetime, zone: ZoneInfo) -> str:
    """Say a moment of today by its hour, and any other by its day."""
    local = moment.astimezone(zone)
    return f"{local:%H:%M}" if _is_today(local) else f"{local.day}.{local.month}."


def told_end(moment: datetime, zone: ZoneInfo) -> str:
    """Say when something ends by its hour, and by its day too where that is not today."""
    local = moment.astimezone(zone)
    return f"{local:%H:%M}" if _is_today(local) else f"{local.day}.{local.month}. {local:%H:%M}"


def _is_today(local: datetime) -> bool:
    return local.date() == clock.utc_now().astimezone(local.tzinfo).date()


def _is_explained(row: MessageRow) -> bool:
    return row.status == "failed" or (row.status == "unknown" and row.status_reason == messaging.NOBODY_KNOWS)


def _titles(sources: Sequence[Any]) -> list[str]:
    named = (source.get("title") if isinstance(source, dict) else source for source in sources)
    return [title for title in named if isinstance(title, str) and title]
