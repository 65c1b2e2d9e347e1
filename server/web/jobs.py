"""The jobs page: what waits, runs, failed and is being checked, and what an owner does about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.db import Session
from server.domains.messaging.pages import read_addressees, read_customers
from server.queue import EffectState, own_jobs
from server.web.boards import Board, BoardNews, part
from server.web.context import MemberVisit
from server.web.job_rows import EMPTY_ROW, PICK, JobShape, concerns_owner, events_of, told_message
from server.web.rendering import page
from server.web.words import Words

PATH = "/jobs"
LIVE_URL = "/live?page=jobs"
LINES = 50
# One click runs as many again as ten transactions change; what is left stays in the list.
AT_ONCE = 500
TURNS = 10
READ_EVERY_S = 2.0
JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,120}")
EFFECT_KEY = re.compile(r"[^\x00-\x1f]{1,200}")

SAID = {
    "again": "jobs.said.again",
    "nothing": "jobs.said.nothing",
    "cancelled": "jobs.said.cancelled",
    "told_to_stop": "jobs.said.told_to_stop",
    "too_late": "jobs.said.too_late",
    "settled": "jobs.said.settled",
    "known": "jobs.said.known",
}
# What a member found out, by the button they press, with the sentences of the question before it counts.
FOUND_OUT = {
    "received": (EffectState.CONFIRMED, "jobs.settle.received", "jobs.settle.received_text"),
    "not_received": (EffectState.NOT_SENT, "jobs.settle.not_received", "jobs.settle.not_received_text"),
}


async def show_jobs(request: Request, visit: MemberVisit) -> Response:
    """Show the business's own work."""
    async with visit.context.database.transaction(visit.login.business_id) as session:
        board = await read_board(session, visit)
    return page(
        visit,
        "jobs.html",
        path=PATH,
        board=board,
        said=_said(request.query_params, visit.words),
        may_act=visit.is_owner,
        live_url=LIVE_URL,
        empty=EMPTY_ROW,
    )


async def run_again(_: Request, visit: MemberVisit) -> Response:
    """Say what running jobs again would do; once that is confirmed, do it."""
    chosen = _chosen(visit.form)
    if chosen == []:
        return _back("nothing")
    if visit.form.get("sure") == "yes":
        count = await _run_again(visit, chosen)
        return _back("again" if count else "nothing", f"&count={count}")
    async with visit.context.database.transaction(visit.login.business_id) as session:
        preview = await own_jobs.preview_again(session, visit.login.business_id, chosen)
    return _ask_about_again(visit, preview, chosen)


async def cancel(_: Request, visit: MemberVisit) -> Response:
    """Ask whether a job is to be cancelled; once that is confirmed, cancel it or have it stopped."""
    job_id = visit.form.get("job", "")
    if not JOB_ID.fullmatch(job_id):
        return _back("too_late")
    if visit.form.get("sure") == "yes":
        return _back(await _cancel(visit, job_id))
    t = visit.words
    told = [t("jobs.cancel.title"), t("jobs.cancel.text")]
    return _ask(visit, "cancel", told, yes=t("jobs.cancel.yes"), fields={"job": job_id})


async def settle(_: Request, visit: MemberVisit) -> Response:
    """Ask whether a member is sure of what they found out about a sending; then record it."""
    found, key = next(((one, visit.form[one]) for one in FOUND_OUT if one in visit.form), ("", ""))
    if not EFFECT_KEY.fullmatch(key):
        return _back("known")
    state, title, text = FOUND_OUT[found]
    if visit.form.get("sure") == "yes":
        return _back("settled" if await _settle(visit, key, state) else "known")
    t = visit.words
    told = [t(title), await _message_of(visit, key), t(text)]
    return _ask(visit, "settle", told, yes=t("jobs.settle.yes"), fields={found: key})


def jobs_news(visit: MemberVisit) -> BoardNews:
    """Tell an open jobs page its lists."""

    async def read(session: Session) -> Board:
        return await read_board(session, visit)

    return BoardNews(read, every_s=READ_EVERY_S)


async def read_board(session: Session, visit: MemberVisit) -> Board:
    """Return each list of the page by its name."""
    work = await own_jobs.read_work(session, visit.login.business_id, LINES + 1)
    addressees = await read_addressees(session, [row.key for row in work.unknown])
    customers = await read_customers(session, events_of(work.running, work.waiting, work.ended))
    shape = JobShape(visit.words, visit.login.time_zone, customers)
    return {
        "pauses": part([shape.pause(row) for row in work.pauses if concerns_owner(row)], LINES),
        "ended": part([shape.ended(row) for row in work.ended], LINES),
        "unknown": part([shape.unknown(row, addressees.get(row.key)) for row in work.unknown], LINES),
        "queues": part([shape.queue(row) for row in work.queues], LINES),
        "running": part([shape.running(row) for row in work.running], LINES),
        "waiting": part([shape.waiting(row) for row in work.waiting], LINES),
    }


def _said(query: Mapping[str, str], words: Words) -> str:
    key = SAID.get(query.get("said", ""))
    count = query.get("count", "")
    return words(key, n=count if count.isascii() and count.isdigit() else "0") if key else ""


def _back(said: str, more: str = "") -> RedirectResponse:
    return RedirectResponse(f"{PATH}?said={said}{more}", 303)


def _chosen(form: Mapping[str, str]) -> list[str] | None:
    """Return the ids that a form ticks, or None where it means all."""
    if form.get("what") == "all":
        return None
    ticked = (name.removeprefix(PICK) for name in form if name.startswith(PICK))
    return [job_id for job_id in ticked if JOB_ID.fullmatch(job_id)]


def _ask(
    visit: MemberVisit, action: str, told: Sequence[str], *, yes: str, fields: Mapping[str, str]
) -> Response:
    """Ask before a deed; what is told begins with the title. Without a yes nothing can be done."""
    title, *sentences = told
    return page(
        visit,
        "jobs_sure.html",
        path=PATH,
        action=action,
        title=title,
        sentences=sentences,
        yes=yes,
        fields=fields,
    )


def _ask_about_again(visit: MemberVisit, preview: own_jobs.Again, chosen: Sequence[str] | None) -> Response:
    t = visit.words
    told = [
        t("jobs.again.title"),
        t("jobs.again.count", n=str(preview.jobs)) if preview.jobs else t("jobs.again.none"),
        *([t("jobs.again.expired", n=str(preview.expired))] if preview.expired else []),
        *([t("jobs.again.held_back", n=str(preview.held_back))] if preview.held_back else []),
    ]
    picks = {"what": "all"} if chosen is None else {f"{PICK}{job_id}": "on" for job_id in chosen}
    return _ask(visit, "again", told, yes=t("jobs.again.yes") if preview.jobs else "", fields=picks)


async def _run_again(visit: MemberVisit, chosen: Sequence[str] | None) -> int:
    login, count = visit.login, 0
    for _ in range(TURNS):
        async with visit.context.database.transaction(login.business_id, user_id=login.user_id) as session:
            again = await own_jobs.run_again(session, login.business_id, chosen, limit=AT_ONCE)
        count += again
        if again < AT_ONCE:
            break
    return count


async def _cancel(visit: MemberVisit, job_id: str) -> own_jobs.Stopped:
    login = visit.login
    async with visit.context.database.transaction(login.business_id, user_id=login.user_id) as session:
        return await own_jobs.cancel(session, login.business_id, job_id)


async def _message_of(visit: MemberVisit, key: str) -> str:
    async with visit.context.database.transaction(visit.login.business_id) as session:
        addressees = await read_addressees(session, [key])
    return told_message(visit.words, addressees.get(key))


async def _settle(visit: MemberVisit, key: str, state: EffectState) -> bool:
    login = visit.login
    async with visit.context.database.transaction(login.business_id, user_id=login.user_id) as session:
        return await own_jobs.settle(session, login.business_id, key, state)
