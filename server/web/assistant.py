"""The assistant's settings: who it speaks for, how, when, what it may do, what it cost; and trying it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.domains import assistant
from server.errors import BadInputError
from server.web.assistant_words import DAYS, NOTICES, TOOLS, WRONG
from server.web.context import MemberVisit
from server.web.rendering import page, problem

PATH = "/settings/assistant"
TRY_PATH = f"{PATH}/try"
TEXTS = ("about", "tone", "instructions")
NUMBERS = ("quiet_s", "session_idle_h", "monthly_cap_usd")


async def show_assistant(request: Request, visit: MemberVisit) -> Response:
    """Show how the assistant is set up, and what the owner should know of it."""
    return await _show(visit, said=request.query_params.get("said", ""))


async def save(_: Request, visit: MemberVisit) -> Response:
    """Keep the settings; what cannot be read comes back as it was typed, with what is wrong."""
    business_id = visit.login.business_id
    try:
        async with visit.context.database.transaction(business_id) as session:
            await assistant.save_settings(session, business_id, _wanted(visit.form))
    except BadInputError as error:
        return await _show(visit, wrong=error)
    return RedirectResponse(f"{PATH}?said=saved", 303)


async def put_away(_: Request, visit: MemberVisit) -> Response:
    """Put away what the owner has read."""
    async with visit.context.database.transaction(visit.login.business_id) as session:
        await assistant.put_notices_away(session, visit.login.business_id)
    return RedirectResponse(PATH, 303)


async def show_try(_: Request, visit: MemberVisit) -> Response:
    """Show the box in which a question is tried."""
    return _try_page(visit, None)


async def ask(_: Request, visit: MemberVisit) -> Response:
    """Ask what the assistant would answer; a worker finds out while the page waits."""
    login = visit.login
    try:
        async with visit.context.database.transaction(login.business_id) as session:
            trial_id = await assistant.ask_trial(
                session, login.business_id, visit.form.get("question", ""), by=login.user_id
            )
    except BadInputError as error:
        return _try_page(visit, None, error)
    return RedirectResponse(f"{TRY_PATH}/{trial_id}", 303)


async def show_trial(request: Request, visit: MemberVisit) -> Response:
    """Show a question with its answer, or that it is being thought about."""
    trial_id: UUID = request.path_params["trial_id"]
    async with visit.context.database.transaction(visit.login.business_id) as session:
        trial = await assistant.find_trial(session, visit.login.business_id, trial_id)
    return problem(visit, 404, "missing") if trial is None else _try_page(visit, trial)


async def _show(visit: MemberVisit, *, said: str = "", wrong: BadInputError | None = None) -> Response:
    shown = await _read(visit)
    if wrong is not None:
        shown["form"] = _typed(visit.form)
    return page(
        *(visit, "assistant.html"),
        status=200 if wrong is None else 422,
        path=PATH,
        said=visit.words("assistant.saved") if said == "saved" else "",
        wrong=words_of(visit, wrong),
        **shown,
    )


async def _read(visit: MemberVisit) -> dict[str, Any]:
    """Return what the settings page shows, as it is stored."""
    business_id = visit.login.business_id
    async with visit.context.database.transaction(business_id) as session:
        behaviour = await assistant.read_settings(session, business_id)
        notices = await assistant.list_notices(session, business_id)
        spending = await assistant.read_spending(session, business_id)
    return {
        "form": _stored(behaviour),
        "zone": behaviour.time_zone,
        "week": DAYS,
        "tools": TOOLS,
        "notices": [_notice(notice, visit) for notice in notices],
        "spending": spending,
        "spent_usd": _dollars(spending.cost_micro),
    }


def _try_page(
    visit: MemberVisit, trial: assistant.AssistantTrial | None, wrong: BadInputError | None = None
) -> Response:
    return page(
        *(visit, "assistant_try.html"),
        status=200 if wrong is None else 422,
        path=TRY_PATH if trial is None else f"{TRY_PATH}/{trial.id}",
        question=trial.question if trial else visit.form.get("question", ""),
        wrong=words_of(visit, wrong),
        **_tried(visit, trial),
    )


def _tried(visit: MemberVisit, trial: assistant.AssistantTrial | None) -> dict[str, Any]:
    """Return what is shown of a trial, beside its question."""
    details = trial.details if trial else {}
    trouble = str(details.get("trouble"))
    return {
        "trial": trial,
        "cost_usd": _dollars(details.get("cost_micro", 0)),
        "trouble": visit.words(NOTICES[trouble][0]) if trouble in NOTICES else "",
        "tool_words": TOOLS,
    }


def _wanted(form: Mapping[str, str]) -> assistant.Wanted:
    return assistant.Wanted(
        **{name: form.get(name, "") for name in (*TEXTS, *NUMBERS)},
        times={day: form.get(f"hours_{day}", "") for day in DAYS},
        exceptions=form.get("exceptions", ""),
        keeps_scope=form.get("keeps_scope") == "yes",
        tools=[tool for tool in assistant.TOOL_NAMES if form.get(f"tool_{tool}") == "yes"],
        needs_approval=form.get("mode") == "approve",
    )


def _typed(form: Mapping[str, str]) -> dict[str, Any]:
    wanted = _wanted(form)
    return {name: getattr(wanted, name) for name in wanted.__dataclass_fields__}


def _stored(behaviour: assistant.Behaviour) -> dict[str, Any]:
    """Return the settings as they are typed into the form."""
    cap = behaviour.monthly_cap_micro
    return {
        **{name: getattr(behaviour, name) for name in (*TEXTS, "keeps_scope", "tools", "needs_approval")},
        "times": {day: assistant.written_times(behaviour.hours.get(day, ())) for day in DAYS},
        "exceptions": assistant.written_exceptions(behaviour.exceptions),
        "quiet_s": f"{behaviour.quiet_s:g}",
        "session_idle_h": str(behaviour.session_idle_h),
        "monthly_cap_usd": "" if cap is None else f"{cap / assistant.MICRO:g}",
    }


def _notice(notice: assistant.Notice, visit: MemberVisit) -> dict[str, str]:
    title, todo = NOTICES[notice.kind]
    at = notice.last_at.astimezone(ZoneInfo(visit.login.time_zone))
    return {
        "title": visit.words(title),
        "todo": visit.words(todo),
        "times": visit.words("assistant.notice.times", n=str(notice.times)) if notice.times > 1 else "",
        "detail": notice.detail,
        "at": f"{at:%Y-%m-%d %H:%M}",
        "href": f"/inbox/{notice.conversation_id}" if notice.conversation_id else "",
    }


def words_of(visit: MemberVisit, wrong: BadInputError | None) -> str:
    """Say what was wrong with a form; nothing where nothing was."""
    if wrong is None:
        return ""
    return visit.words(WRONG.get(wrong.code, "assistant.wrong.other"), what=str(wrong))


def _dollars(micro: int) -> str:
    return f"{micro / assistant.MICRO:.4f}" if micro < assistant.MICRO else f"{micro / assistant.MICRO:.2f}"
