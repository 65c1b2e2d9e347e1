"""The page of how people answer: quick replies, and how long the assistant is silent after them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.db import Session
from server.domains import messaging
from server.errors import BadInputError
from server.web.context import MemberVisit
from server.web.rendering import page

PATH = "/settings/answers"


async def show_answers(_: Request, visit: MemberVisit) -> Response:
    """List the quick replies."""
    return await _page(visit)


async def change_answers(_: Request, visit: MemberVisit) -> Response:
    """Keep or remove a quick reply, or say how answering goes on."""
    business_id, user_id = visit.login.business_id, visit.login.user_id
    try:
        async with visit.context.database.transaction(business_id, user_id=user_id) as session:
            await _change(session, business_id, visit.form)
    except BadInputError:
        return await _page(visit, complaint=visit.words("answers.refused"))
    return RedirectResponse(PATH, 303)


async def _change(session: Session, business_id: int, form: Mapping[str, str]) -> None:
    if "remove" in form:
        await messaging.remove_quick_reply(session, business_id, _uuid(form["remove"]))
    elif "minutes" in form:
        await messaging.keep_takeover(session, business_id, form["minutes"])
        await messaging.choose_reading(session, business_id, shows="shows_reading" in form)
    else:
        name, body = form.get("name", ""), form.get("body", "")
        await messaging.add_quick_reply(session, business_id, name=name, body=body)


async def _page(visit: MemberVisit, *, complaint: str = "") -> Response:
    async with visit.context.database.transaction(visit.login.business_id) as session:
        kept = await _kept(session, visit.login.business_id)
    status = 422 if complaint else 200
    return page(visit, "quick_replies.html", status=status, path=PATH, complaint=complaint, **kept)


async def _kept(session: Session, business_id: int) -> dict[str, Any]:
    listed = await messaging.list_templates(session, business_id)
    return {
        "replies": [one for one in listed if one.is_own],
        "minutes": await messaging.read_takeover(session, business_id),
        "shows_reading": await messaging.shows_reading(session, business_id),
    }


def _uuid(told: str) -> UUID:
    try:
        return UUID(told)
    except ValueError:
        raise BadInputError("template_invalid", "There is no such quick reply.") from None
