"""The jobs page: what waits, runs, failed and is being checked, and what a member does about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server import clock
from server.db import Session
from server.domains.messaging.pages import Addressee, read_addressees
from server.queue import own_jobs
from server.web.changes import event
from server.web.context import MemberVisit
from server.web.rendering import page
from server.web.rows import View, told_time
from server.web.text import inert
from server.web.words import Words

PATH = "/jobs"
LIVE_URL = "/live?page=jobs"
LINES = 50
# One click runs as many again as ten transactions change; what is left stays in the list.
AT_ONCE = 500
TURNS = 10
# Hints come with every message; these lists are read again every two seconds at most.
READ_EVERY_S = 2.0
PICK = "job:"
JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,120}")

KINDS = {
    "webhook_process_job": "jobs.kind.webhook",
    "job_given_up_job": "jobs.kind.follow_up",
    "effect_settled_job": "jobs.kind.follow_up",
}
PROVIDERS = {"whatsapp_bridge": "WhatsApp"}
WHYS = {"quarantined": "jobs.why.quarantined", "expired": "jobs.why.expired"}
# A reason begins with an error's name where an error of ours or a library's ended the job; a sentence
# is what was found wrong with the work itself.
REASONS = (
    (re.compile(r"TimeoutError\b"), "jobs.why.too_long"),
    (re.compile(r"Provider\w*Error\b"), "jobs.why.provider"),
    (re.compile(r"\w+(Error|Exception|Exit|Interrupt)\b"), "jobs.why.broke"),
    (re.compile(r"."), "jobs.why.refused"),
)
SAID = {
    "again": "jobs.said.again",
    "nothing": "jobs.said.nothing",
    "cancelled": "jobs.said.cancelled",
    "told_to_stop": "jobs.said.told_to_stop",
    "too_late": "jobs.said.too_late",
}

EMPTY_ROW: View = dict.fromkeys(
    ("id", "name", "clock", "at", "why", "reason", "pick", "held_back", "tries", "href", "counts"), ""
)


async def show_jobs(request: Request, visit: MemberVisit) -> Response:
    """Show the business's own work."""
    login = visit.login
    async with visit.context.database.transaction(login.business_id) as session:
        board = await read_board(session, visit)
    said = _said(request.query_params, visit.words)
    return page(visit, "jobs.html", path=PATH, board=board, said=said, live_url=LIVE_URL, empty=EMPTY_ROW)


async def run_again(_: Request, visit: MemberVisit) -> Response:
    """Say what running jobs again would do; once that is confirmed, do it."""
    chosen = _chosen(visit.form)
    if chosen == []:
        return RedirectResponse(f"{PATH}?said=nothing", 303)
    if visit.form.get("sure") == "yes":
        count = await _run_again(visit, chosen)
        return RedirectResponse(f"{PATH}?said={'again' if count else 'nothing'}&count={count}", 303)
    async with visit.context.database.transaction(visit.login.business_id) as session:
        preview = await own_jobs.preview_again(session, visit.login.business_id, chosen)
    return page(visit, "jobs_again.html", path=PATH, preview=preview, picks=_picks(chosen))


async def cancel(_: Request, visit: MemberVisit) -> Response:
    """Cancel a job that still waits, or have one that runs stopped."""
    login, job_id = visit.login, visit.form.get("job", "")
    became = own_jobs.Stopped.TOO_LATE
    if JOB_ID.fullmatch(job_id):
        async with visit.context.database.transaction(login.business_id, user_id=login.user_id) as session:
            became = await own_jobs.cancel(session, login.business_id, job_id)
    return RedirectResponse(f"{PATH}?said={became}", 303)


class JobsNews:
    """Tells an open jobs page its lists when they have changed."""

    def __init__(self, visit: MemberVisit) -> None:
        self._visit = visit
        self._told = b""
        self._read_at = float("-inf")

    async def __call__(self, session: Session) -> bytes:
        """Return the event that brings the page up to date; nothing when it is."""
        now = clock.monotonic_s()
        if now - self._read_at < READ_EVERY_S:
            return b""
        self._read_at = now
        news = event("jobs", await read_board(session, self._visit))
        if news == self._told:
            return b""
        self._told = news
        return news


async def read_board(session: Session, visit: MemberVisit) -> View:
    """Return each list of the page by its name: its rows, and whether there are none, some or more."""
    work = await own_jobs.read_work(session, visit.login.business_id, LINES + 1)
    addressees = await read_addressees(session, [row.key for row in work.unknown])
    shape = _Shape(visit.words, visit.login.time_zone)
    return {
        "ended": _part([shape.ended(row) for row in work.ended]),
        "unknown": _part([shape.unknown(row, addressees.get(row.key)) for row in work.unknown]),
        "queues": _part([shape.queue(row) for row in work.queues]),
        "running": _part([shape.job(row) for row in work.running]),
        "waiting": _part([shape.job(row) for row in work.waiting]),
    }


def _part(rows: list[View]) -> View:
    amount = "more" if len(rows) > LINES else "some" if rows else "none"
    return {"rows": rows[:LINES], "amount": amount}


class _Shape:
    """Turns rows into what a reader of one language, in one business's time zone, sees."""

    def __init__(self, words: Words, time_zone: str) -> None:
        self._words = words
        self._zone = ZoneInfo(time_zone)

    def job(self, row: own_jobs.JobRow) -> View:
        tries = self._words("jobs.tries", n=str(row.attempts)) if row.attempts > 1 else ""
        return self._row(row.id, self._kind(row.kind), row.at) | {
            "tries": tries,
            "reason": inert(row.reason or ""),
        }

    def ended(self, row: own_jobs.JobRow) -> View:
        return self.job(row) | {
            "why": self._words(_why(row)),
            "pick": "" if row.held_back else f"{PICK}{row.id}",
            "held_back": self._words("jobs.held_back") if row.held_back else "",
        }

    def unknown(self, row: own_jobs.EffectRow, addressee: Addressee | None) -> View:
        provider = PROVIDERS.get(row.provider, row.provider)
        name = (addressee.name if addressee else None) or self._words("inbox.nameless")
        return self._row(row.key, self._words("jobs.unknown_to", name=inert(name)), row.at) | {
            "why": self._words("jobs.unknown_why", provider=provider),
            "reason": inert(row.reason or ""),
            "href": f"/inbox/{addressee.conversation_id}" if addressee else "",
        }

    def queue(self, row: own_jobs.QueueRow) -> View:
        counts = self._words("jobs.counts", waiting=str(row.waiting), running=str(row.running))
        return self._row(f"{row.queue} {row.kind}", self._kind(row.kind), row.oldest_at) | {"counts": counts}

    def _row(self, row_id: str, name: str, at: datetime | None) -> View:
        told = {"clock": told_time(at, self._zone), "at": at.isoformat()} if at else {}
        return EMPTY_ROW | {"id": row_id, "name": name} | told

    def _kind(self, kind: str) -> str:
        key = KINDS.get(kind)
        return self._words(key) if key else kind.removesuffix("_job").replace("_", " ")


def _why(row: own_jobs.JobRow) -> str:
    if row.state in WHYS:
        return WHYS[row.state]
    return next((key for begins, key in REASONS if begins.match(row.reason or "")), "jobs.why.broke")


def _said(query: Mapping[str, str], words: Words) -> str:
    key = SAID.get(query.get("said", ""))
    count = query.get("count", "")
    return words(key, n=count if count.isascii() and count.isdigit() else "0") if key else ""


def _chosen(form: Mapping[str, str]) -> list[str] | None:
    """Return the ids that a form ticks, or None where it means all."""
    if form.get("what") == "all":
        return None
    ticked = (name.removeprefix(PICK) for name in form if name.startswith(PICK))
    return [job_id for job_id in ticked if JOB_ID.fullmatch(job_id)]


def _picks(chosen: Sequence[str] | None) -> dict[str, str]:
    return {"what": "all"} if chosen is None else {f"{PICK}{job_id}": "on" for job_id in chosen}


async def _run_again(visit: MemberVisit, chosen: Sequence[str] | None) -> int:
    login, count = visit.login, 0
    for _ in range(TURNS):
        async with visit.context.database.transaction(login.business_id, user_id=login.user_id) as session:
            again = await own_jobs.run_again(session, login.business_id, chosen, limit=AT_ONCE)
        count += again
        if again < AT_ONCE:
            break
    return count
