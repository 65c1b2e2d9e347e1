"""The inbox: the list of conversations, and one of them open beside it."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from server.web.context import MemberVisit
from server.web.rendering import page, problem
from server.web.rows import EMPTY_CONVERSATION, EMPTY_MESSAGE
from server.web.scene import Place, Window, read_scene


async def show_inbox(_: Request, visit: MemberVisit) -> Response:
    """List the conversations."""
    return await _show(visit, None, path="/inbox")


async def show_conversation(request: Request, visit: MemberVisit) -> Response:
    """Open one conversation; another business's is not there."""
    conversation_id: UUID = request.path_params["conversation_id"]
    return await _show(visit, conversation_id, path=f"/inbox/{conversation_id}")


async def _show(visit: MemberVisit, chosen: UUID | None, *, path: str) -> Response:
    window = Window(Place.INBOX, chosen)
    async with visit.context.database.transaction(visit.login.business_id) as session:
        scene = await read_scene(session, visit, window)
    if chosen is not None and scene.opened is None:
        return problem(visit, 404, "missing")
    return page(
        visit,
        "inbox.html",
        path=path,
        scene=scene,
        live_url=window.live_url,
        empty_conversation=EMPTY_CONVERSATION,
        empty_message=EMPTY_MESSAGE,
    )
