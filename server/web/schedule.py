"""The schedule page: what runs when, what was skipped and why, who keeps time, and what an owner does."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias

import asyncpg
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server import clock
from server.db import Session
from server.db.session import driver_of
from server.domains import accounts
from server.errors import BadInputError
from server.queue import Changed, Dispatch, schedules
from server.queue.schedules import Actor
from server.web.boards import Board, BoardNews, part
from server.web.context import MemberVisit
from server.web.keeper import Keeper, look_for
from server.web.rendering import page, problem
from server.web.schedule_rows import (
    EMPTY_ENTRY,
    EMPTY_KEEPER,
    ScheduleShape,
    members_in,
)
from server.web.text import inert

PATH = "/schedule"
LIVE_URL = "/live?page=schedule"
LINES = 100
# Skipped slots that are read, over all of them.
SKIPPED = 1000
READ_EVERY_S = 5.0
LONGEST_REASON = 200
# A question that stood open for longer is asked again.
LONGEST_QUESTION = timedelta(days=1)
NAME = re.compile(r"[A-Za-z0-9_-]{1,160}")

SAID = {
    "run": "schedule.said.run",
    "paused": "schedule.said.paused",
    "resumed": "schedule.said.resumed",
    "ran_already": "schedule.said.ran_already",
    "paused_already": "schedule.said.paused_already",
    "not_paused": "schedule.said.not_paused",
    "gone": "schedule.said.gone",
    "refused": "schedule.said.refused",
}
Verb: TypeAlias = Callable[[asyncpg.Connection, str, Actor, datetime], Awaitable[list[Dispatch]]]


@dataclass(frozen=True)
class Deed:
    """What a button does; each word names a sentence, and `nothing` is said where there was nothing to do."""

    action: str
    title: str
    text: str
    yes: str
    said: str
    nothing: str
    verb: Verb


async def _run(driver: asyncpg.Connection, name: str, by: Actor, since: datetime) -> list[Dispatch]:
    return await schedules.run_now(driver, name, by=by, unless_since=since)


async def _pause(driver: asyncpg.Connection, name: str, by: Actor, _: datetime) -> list[Dispatch]:
    return await schedules.pause(driver, name, by=by)


async def _resume(driver: asyncpg.Connection, name: str, by: Actor, _: datetime) -> list[Dispatch]:
    return await schedules.resume(driver, name, by=by)


RUN = Deed(
    *("run", "schedule.run.title", "schedule.run.text", "schedule.run.yes"),
    *("run", "ran_already"),
    _run,
)
PAUSE = Deed(
    *("pause", "schedule.pause.title", "schedule.pause.text", "schedule.pause.yes"),
    *("paused", "paused_already"),
    _pause,
)
RESUME = Deed(
    *("resume", "schedule.resume.title", "schedule.resume.text", "schedule.resume.yes"),
    *("resumed", "not_paused"),
    _resume,
)


async def show_schedule(request: Request, visit: MemberVisit) -> Response:
    """Show the installation's timetable and the business's own schedules."""
    keeper = await look_for(visit.context.timekeeper)
    async with visit.context.database.transaction(visit.login.business_id) as session:
        board = await read_board(session, visit, keeper)
    said = SAID.get(request.query_params.get("said", ""))
    return page(
        visit,
        "schedule.html",
        path=PATH,
        board=board,
        said=visit.words(said) if said else "",
        may_act=visit.is_owner,
        live_url=LIVE_URL,
        empty={"keeper": EMPTY_KEEPER, "entry": EMPTY_ENTRY},
    )


async def run_now(_: Request, visit: MemberVisit) -> Response:
    """Ask whether a schedule is to run now; once that is confirmed, ask for its job."""
    return await _do(visit, RUN)


async def pause(_: Request, visit: MemberVisit) -> Response:
    """Ask whether and why a schedule is to be paused; once that is confirmed, pause it."""
    return await _do(visit, PAUSE)


async def resume(_: Request, visit: MemberVisit) -> Response:
    """Ask whether a schedule is to go on; once that is confirmed, let it."""
    return await _do(visit, RESUME)


class ScheduleNews:
    """Tells an open schedule page its lists."""

    def __init__(self, visit: MemberVisit) -> None:
        self._visit = visit
        self._keeper: Keeper | None = None
        self._board = BoardNews(self._read, every_s=READ_EVERY_S)

    async def look(self) -> None:
        """Look who keeps time, while no transaction waits for it."""
        if self._board.is_due:
            self._keeper = await look_for(self._visit.context.timekeeper)

    async def __call__(self, session: Session) -> bytes:
        """Return the event that brings the page up to date; nothing when it is."""
        return await self._board(session)

    async def _read(self, session: Session) -> Board:
        return await read_board(session, self._visit, self._keeper)


async def read_board(session: Session, visit: MemberVisit, keeper: Keeper | None) -> Board:
    """Return each list of the page by its name."""
    driver = await driver_of(session)
    listed = await schedules.listed(driver)
    with_skips = [row["name"] for row in listed if row["skipped"]]
    skipped = await schedules.skipped_of_each(driver, with_skips, limit=SKIPPED)
    names = await accounts.read_member_names(session, members_in(listed, skipped))
    shape = ScheduleShape(visit.words, names)
    skips = {name: list(rows) for name, rows in groupby(skipped, itemgetter("schedule"))}
    own = [shape.own(row, skips.get(row["name"], [])) for row in listed if row["business_id"] is not None]
    house = [shape.entry(row, skips.get(row["name"], [])) for row in listed if row["business_id"] is None]
    return {
        "keeper": part([shape.keeper(keeper, visit.login.time_zone)] if keeper else [], 1),
        "own": part(sorted(own, key=lambda view: str(view["name"]).casefold()), LINES),
        "house": part(house, LINES),
    }


async def _do(visit: MemberVisit, deed: Deed) -> Response:
    name = visit.form.get("schedule", "")
    row = await _find_own(visit, name) if NAME.fullmatch(name) else None
    if row is None:
        return problem(visit, 404, "schedule")
    asked_at = _moment(visit.form.get("asked_at", ""))
    if visit.form.get("sure") != "yes" or asked_at is None:
        return _ask(visit, deed, row)
    return RedirectResponse(f"{PATH}?said={await _done(visit, deed, name, asked_at)}", 303)


async def _find_own(visit: MemberVisit, name: str) -> asyncpg.Record | None:
    async with visit.context.database.transaction(visit.login.business_id) as session:
        rows = await schedules.listed(await driver_of(session), name=name)
    return next((row for row in rows if row["business_id"] == visit.login.business_id), None)


def _ask(visit: MemberVisit, deed: Deed, row: asyncpg.Record) -> Response:
    """Ask before a deed. The form carries the moment of the question, so that it counts once."""
    t = visit.words
    return page(
        visit,
        "schedule_sure.html",
        path=PATH,
        action=deed.action,
        title=t(deed.title),
        name=ScheduleShape(t, {}).name(row["label"], row["kind"]),
        sentence=t(deed.text),
        yes=t(deed.yes),
        fields={"schedule": row["name"], "asked_at": row["now"].isoformat()},
        longest=LONGEST_REASON,
    )


async def _done(visit: MemberVisit, deed: Deed, name: str, asked_at: datetime) -> str:
    """Do it, and return what to say of it."""
    login = visit.login
    reason = inert(visit.form.get("reason", "").strip()[:LONGEST_REASON]) or schedules.NO_REASON
    try:
        async with visit.context.database.transaction(login.business_id, user_id=login.user_id) as session:
            by = Actor(f"member {login.user_id}", reason)
            session.outbox.extend(await deed.verb(await driver_of(session), name, by, asked_at))
            session.outbox.append(Changed(login.business_id, "schedule", name))
    except BadInputError as error:
        return {"nothing_to_do": deed.nothing, "no_such_schedule": "gone"}.get(error.code, "refused")
    return deed.said


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    is_recent = moment.tzinfo is not None and abs(clock.utc_now() - moment) < LONGEST_QUESTION
    return moment if is_recent else None
