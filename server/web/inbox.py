"""The inbox: the list of conversations, and one of them open beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from server.db import Session
from server.domains import messaging
from server.domains.messaging.pages import LONGEST_SOUGHT
from server.web.alarms import read_alarms
from server.web.context import MemberVisit
from server.web.desk import PAUSES, SHOWS
from server.web.rendering import page, problem
from server.web.rows import EMPTY_CONVERSATION, EMPTY_MESSAGE
from server.web.scene import Place, Scene, Window, asked_show, read_scene
from server.web.template_rows import sendable_view, withheld_view


async def show_inbox(request: Request, visit: MemberVisit) -> Response:
    """List the conversations: `?show=needs|mine|unread|paused`, `&q=` for words, a name or a phone."""
    return await _show(visit, _window(request, None), path="/inbox")


async def show_conversation(request: Request, visit: MemberVisit) -> Response:
    """Open one conversation; another business's is not there."""
    conversation_id: UUID = request.path_params["conversation_id"]
    return await _show(visit, _window(request, conversation_id), path=f"/inbox/{conversation_id}")


def _window(request: Request, chosen: UUID | None) -> Window:
    sought = request.query_params.get("q", "").strip()[:LONGEST_SOUGHT]
    return Window(Place.INBOX, chosen, asked_show(request), sought)


async def _show(visit: MemberVisit, window: Window, *, path: str) -> Response:
    async with visit.context.database.transaction(visit.login.business_id) as session:
        scene = await read_scene(session, visit, window)
        templates = await _templates(session, visit, window)
        alarms = await read_alarms(session, visit) if window.chosen is None else []
    if window.chosen is not None and scene.opened is None:
        return problem(visit, 404, "missing")
    return _page(visit, window, path, scene, {"templates": templates, "alarms": alarms})


def _page(
    visit: MemberVisit, window: Window, path: str, scene: Scene, more: Mapping[str, Any]
) -> HTMLResponse:
    return page(
        visit,
        "inbox.html",
        path=path,
        scene=scene,
        window=window,
        shows=SHOWS,
        pauses=PAUSES,
        client_key=str(uuid4()),
        live_url=window.live_url,
        empty_conversation=EMPTY_CONVERSATION,
        empty_message=EMPTY_MESSAGE,
        **more,
    )


async def _templates(session: Session, visit: MemberVisit, window: Window) -> dict[str, Any]:
    """Return what may be sent by name in the open conversation, and what may not."""
    if window.chosen is None:
        return {}
    listed = await messaging.list_templates(session, visit.login.business_id, window.chosen)
    return {
        "sendable": [sendable_view(visit.words, one) for one in listed if one.may_be_sent],
        "withheld": [withheld_view(visit.words, one) for one in listed if not one.may_be_sent],
    }
