"""The leads' pages: a list, a board by stage, and one person with all that is known of them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import TypeAlias
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.db import Session
from server.domains import accounts, contacts
from server.errors import BadInputError
from server.web.context import MemberVisit
from server.web.lead_rows import LeadShape, people_in
from server.web.rendering import page, problem

PATH = "/leads"
LINES = 50
# Cards of one stage on the board; the list has the rest.
CARDS = 40
MOST_PAGES = 10_000
MOST_DIGITS = 18
CURRENCY = re.compile("[A-Za-z]{3}")
# Through whom something came to the ledgers: a member, by hand.
MEMBER = "member"
SAID = frozenset({"moved", "noted", "saved", "merged", "parted", "dismissed", "consent"})

Deed: TypeAlias = Callable[[Session, MemberVisit, contacts.Person], Awaitable[str]]


async def show_leads(request: Request, visit: MemberVisit) -> Response:
    """List the leads, searched and of one stage as asked."""
    search, number = request.query_params.get("q", "")[:100], page_number(request)
    stage_id = uuid_in(request.query_params.get("stage", ""))
    business_id = visit.login.business_id
    async with visit.context.database.transaction(business_id) as session:
        stages = await contacts.open_stages(session, business_id)
        known = stage_id if stage_id in {one.id for one in stages} else None
        rows = await contacts.list_leads(
            session, business_id, search=search, stage_id=known, limit=LINES + 1, offset=LINES * number
        )
    leads = [LeadShape(visit).line(row) for row in rows[:LINES]]
    place = {"number": number, "has_more": len(rows) > LINES, "search": search, "stage_id": stage_id}
    return page(visit, "leads.html", path=PATH, leads=leads, stages=stages, place=place)


async def show_board(_: Request, visit: MemberVisit) -> Response:
    """Show a column for each stage."""
    business_id = visit.login.business_id
    async with visit.context.database.transaction(business_id) as session:
        stages = await contacts.open_stages(session, business_id)
        amounts = await contacts.count_leads(session, business_id)
        columns = [
            (stage, await contacts.list_leads(session, business_id, stage_id=stage.id, limit=CARDS))
            for stage in stages
        ]
    shape = LeadShape(visit)
    board = [(stage, amounts.get(stage.id, 0), [shape.line(row) for row in rows]) for stage, rows in columns]
    return page(visit, "leads_board.html", path=f"{PATH}/board", board=board, stages=stages)


async def show_person(request: Request, visit: MemberVisit) -> Response:
    """Show one contact; an id that was merged away leads to the contact it became."""
    contact_id, business_id = request.path_params["contact_id"], visit.login.business_id
    async with visit.context.database.transaction(business_id) as session:
        person = await contacts.read_person(session, contact_id)
        stages = await contacts.open_stages(session, business_id)
        suggested = await contacts.suggestions(session, person.contact_id) if person else []
        names = await accounts.read_member_names(session, people_in(person) if person else ())
    if person is None:
        return problem(visit, 404, "lead")
    shown = LeadShape(visit, names).person(person, suggested)
    said, path = request.query_params.get("said", ""), f"{PATH}/{person.contact_id}"
    told = visit.words(f"leads.said.{said}") if said in SAID else None
    return page(visit, "lead.html", path=path, person=shown, stages=stages, said=told)


async def move(request: Request, visit: MemberVisit) -> Response:
    """Move a lead to another stage."""
    return await _do(request, visit, _move)


async def note(request: Request, visit: MemberVisit) -> Response:
    """Write a note."""
    return await _do(request, visit, _note)


async def save(request: Request, visit: MemberVisit) -> Response:
    """Keep details of a contact and of what they want."""
    return await _do(request, visit, _save)


async def consent(request: Request, visit: MemberVisit) -> Response:
    """Note what a contact said of marketing in another place."""
    return await _do(request, visit, _consent)


async def merge(request: Request, visit: MemberVisit) -> Response:
    """Make one contact of two, or say that they are two."""
    return await _do(request, visit, _merge)


async def part(request: Request, visit: MemberVisit) -> Response:
    """Undo a merge."""
    return await _do(request, visit, _part)


def by(visit: MemberVisit) -> str:
    """Name whoever acts, in the ledgers' words."""
    return f"member {visit.login.user_id}"


def uuid_in(told: str) -> UUID | None:
    """Return an id that was asked for, None where there is none."""
    try:
        return UUID(told)
    except ValueError:
        return None


def page_number(request: Request) -> int:
    """Return which page of a list was asked for, from 0."""
    told = request.query_params.get("page", "0")
    return min(int(told), MOST_PAGES) if told.isdecimal() and told.isascii() and len(told) <= 9 else 0  # noqa: PLR2004


def amount_minor(told: str) -> int | None:
    """Return an amount of money in its minor unit; raise BadInputError `bad_value`."""
    if not told.strip():
        return None
    try:
        amount = Decimal(told.strip().replace(",", ""))
    except InvalidOperation:
        amount = Decimal("NaN")
    # A few characters can name a number that takes minutes to write down.
    if not amount.is_finite() or amount.adjusted() > MOST_DIGITS:
        raise BadInputError("bad_value", "This is no amount of money.")
    return int((amount * 100).to_integral_exact())


async def _do(request: Request, visit: MemberVisit, deed: Deed) -> Response:
    business_id = visit.login.business_id
    try:
        async with visit.context.database.transaction(business_id, user_id=visit.login.user_id) as session:
            person = await contacts.read_person(session, request.path_params["contact_id"])
            if person is None:
                return problem(visit, 404, "lead")
            said = await deed(session, visit, person)
    except BadInputError as error:
        return _refused(visit, error)
    is_of_board = visit.form.get("back") == "board"
    where = f"{PATH}/board" if is_of_board else f"{PATH}/{person.contact_id}?said={said}"
    return RedirectResponse(where, 303)


def _refused(visit: MemberVisit, error: BadInputError) -> Response:
    return page(
        visit,
        "problem.html",
        status=400,
        title=visit.words("leads.refused"),
        sentence=visit.words(f"leads.refused.{error.code}"),
    )


async def _move(session: Session, visit: MemberVisit, person: contacts.Person) -> str:
    await _make_lead(session, visit, person)
    await contacts.move_lead(session, person.contact_id, visit.form.get("stage", ""), actor=by(visit))
    return "moved"


async def _note(session: Session, visit: MemberVisit, person: contacts.Person) -> str:
    await contacts.add_note(session, person.contact_id, visit.form.get("note", ""), actor=by(visit))
    return "noted"


async def _save(session: Session, visit: MemberVisit, person: contacts.Person) -> str:
    form = visit.form
    told = {name: form[name].strip() for name in ("name", "email", "phone", "city") if name in form}
    await contacts.save_details(session, person.contact_id, actor=by(visit), **told)
    value_minor, is_mine = amount_minor(form.get("value", "")), form.get("mine") == "yes"
    # Of who is no lead, details alone are details: what they want, or who sees to it, makes them one.
    if person.lead or value_minor is not None or form.get("title", "").strip() or is_mine:
        await _make_lead(session, visit, person)
        await _save_deal(session, visit, person.contact_id, value_minor)
        settle = contacts.take_lead if is_mine else contacts.leave_lead
        await settle(session, person.contact_id, visit.login.user_id)
    return "saved"


async def _save_deal(session: Session, visit: MemberVisit, contact_id: UUID, value_minor: int | None) -> None:
    currency = visit.form.get("currency", "")
    await contacts.set_deal(
        session,
        contact_id,
        title=visit.form.get("title"),
        value_minor=value_minor,
        currency=currency if CURRENCY.fullmatch(currency) else None,
        actor=by(visit),
    )


async def _make_lead(session: Session, visit: MemberVisit, person: contacts.Person) -> None:
    """Make a lead of who is none, such as somebody whom the owner wrote to first."""
    if person.lead is None:
        await contacts.touch_lead(session, person.contact_id, MEMBER, actor=by(visit))


async def _consent(session: Session, visit: MemberVisit, person: contacts.Person) -> str:
    value = contacts.GRANTED if visit.form.get("value") == contacts.GRANTED else contacts.WITHDRAWN
    wording = visit.form.get("wording", "")
    await contacts.note_consent(session, person.contact_id, value=value, wording=wording, source=MEMBER)
    return "consent"


async def _merge(session: Session, visit: MemberVisit, person: contacts.Person) -> str:
    other = uuid_in(visit.form.get("other", ""))
    if other is None:
        raise BadInputError("no_such_contact", "There is no such contact.")
    if visit.form.get("answer") == "merge":
        await contacts.accept(session, person.contact_id, other, by=by(visit))
        return "merged"
    await contacts.dismiss(session, visit.login.business_id, person.contact_id, other, by=by(visit))
    return "dismissed"


async def _part(session: Session, visit: MemberVisit, _person: contacts.Person) -> str:
    merge_id = uuid_in(visit.form.get("merge", ""))
    if merge_id is None:
        raise BadInputError("no_such_merge", "There is no such merge.")
    await contacts.part(session, merge_id, by=by(visit))
    return "parted"
