"""The demo page: a simulated phone beside the inbox, and the way of the newest message."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from server.web.context import MemberVisit
from server.web.headers import content_policy
from server.web.rendering import page, problem
from server.web.rows import EMPTY_CONVERSATION, EMPTY_MESSAGE, STEPS
from server.web.scene import Place, Window, chosen_conversation, read_scene


async def show_demo(request: Request, visit: MemberVisit) -> Response:
    """Show the phone, the conversations, and the seven steps as they light up."""
    window = Window(Place.DEMO, chosen_conversation(request))
    async with visit.context.database.transaction(visit.login.business_id) as session:
        scene = await read_scene(session, visit, window)
    if window.chosen is not None and scene.opened is None:
        return problem(visit, 404, "missing")
    parts = urlsplit(visit.context.simulator_url)
    phone_origin = f"{parts.scheme}://{parts.netloc}"
    query = urlencode({"lang": visit.words.language, "parent": visit.context.public_url})
    answer = page(
        visit,
        "demo.html",
        path="/demo",
        scene=scene,
        live_url=window.live_url,
        step_names=STEPS,
        phone_url=f"{visit.context.simulator_url}/phone?{query}",
        phone_origin=phone_origin,
        empty_conversation=EMPTY_CONVERSATION,
        empty_message=EMPTY_MESSAGE,
    )
    answer.headers["Content-Security-Policy"] = content_policy(frame=phone_origin)
    return answer
