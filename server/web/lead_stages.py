"""The page of the pipeline's stages, and of the forms that bring leads: owners change both."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.db import Session
from server.domains import contacts
from server.errors import BadInputError
from server.web.context import MemberVisit
from server.web.leads import by, uuid_in
from server.web.rendering import page

PATH = "/settings/stages"


async def show_stages(_: Request, visit: MemberVisit) -> Response:
    """List the stages with what may be changed of each."""
    return await _page(visit)


async def change_stages(_: Request, visit: MemberVisit) -> Response:
    """Add, rename, reorder or archive a stage."""
    business_id = visit.login.business_id
    try:
        async with visit.context.database.transaction(business_id, user_id=visit.login.user_id) as session:
            await _change(session, visit)
    except BadInputError as error:
        return await _page(visit, complaint=visit.words(f"leads.refused.{error.code}"))
    return RedirectResponse(PATH, 303)


async def _page(visit: MemberVisit, complaint: str | None = None) -> Response:
    business_id = visit.login.business_id
    async with visit.context.database.transaction(business_id) as session:
        stages = await contacts.open_stages(session, business_id)
        amounts = await contacts.count_leads(session, business_id)
    return page(
        visit,
        "lead_stages.html",
        status=400 if complaint else 200,
        path=PATH,
        stages=[(stage, amounts.get(stage.id, 0)) for stage in stages],
        sorts=contacts.SORTS,
        colours=contacts.COLOURS,
        complaint=complaint,
    )


async def _change(session: Session, visit: MemberVisit) -> None:
    form, business_id = visit.form, visit.login.business_id
    told = {
        "name": form.get("name", ""),
        "sort": form.get("sort", "open"),
        "colour": form.get("colour", "grey"),
    }
    act = form.get("act", "")
    if act == "add":
        await contacts.add_stage(session, business_id, **told)
        return
    stage_id = _id(form.get("stage", ""))
    match act:
        case "save":
            await contacts.change_stage(session, business_id, stage_id, **told)
        case "up" | "down":
            await contacts.shift_stage(session, business_id, stage_id, by=-1 if act == "up" else 1)
        case "archive":
            await contacts.archive_stage(
                session, business_id, stage_id, move_to=_id(form.get("move_to", "")), actor=by(visit)
            )
        case _:
            raise BadInputError("bad_stage", "There is nothing to do.")


def _id(told: str) -> UUID:
    found = uuid_in(told)
    if found is None:
        raise BadInputError("no_such_stage", "There is no such stage.")
    return found
