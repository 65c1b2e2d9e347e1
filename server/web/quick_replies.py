"""The page of how people answer: quick replies, and how long the assistant is silent after them."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.domains import messaging
from server.errors import BadInputError
from server.web.context import MemberVisit
from server.web.rendering import page

PATH = "/settings/answers"


async def show_answers(_: Request, visit: MemberVisit) -> Response:
    """List the quick replies."""
    return await _page(visit)


async def change_answers(_: Request, visit: MemberVisit) -> Response:
    """Keep or remove a quick reply, or say how long a takeover lasts."""
    form, business_id = visit.form, visit.login.business_id
    try:
        async with visit.context.database.transaction(business_id, user_id=visit.login.user_id) as session:
            if "remove" in form:
                await messaging.remove_quick_reply(session, business_id, _uuid(form["remove"]))
            elif "minutes" in form:
                await messaging.keep_takeover(session, business_id, form["minutes"])
            else:
                name, body = form.get("name", ""), form.get("body", "")
                await messaging.add_quick_reply(session, business_id, name=name, body=body)
    except BadInputError:
        return await _page(visit, complaint=visit.words("answers.refused"))
    return RedirectResponse(PATH, 303)


async def _page(visit: MemberVisit, *, complaint: str = "") -> Response:
    business_id = visit.login.business_id
    async with visit.context.database.transaction(business_id) as session:
        listed = await messaging.list_templates(session, business_id)
        minutes = await messaging.read_takeover(session, business_id)
    return page(
        visit,
        "quick_replies.html",
        status=422 if complaint else 200,
        path=PATH,
        replies=[one for one in listed if one.is_own],
        minutes=minutes,
        complaint=complaint,
    )


def _uuid(told: str) -> UUID:
    try:
        return UUID(told)
    except ValueError:
        raise BadInputError("template_invalid", "There is no such quick reply.") from None
