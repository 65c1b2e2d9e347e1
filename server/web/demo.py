"""The demo page: a simulated phone beside the inbox, and the way of the newest message."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from server.web.context import MemberVisit
from server.web.headers import content_policy
from server.web.rendering import page, problem
from server.web.rows import EMPTY_CONVERSATION, EMPTY_MESSAGE, STEPS, View
from server.web.scene import Place, Scene, Window, chosen_conversation, read_scene


async def show_demo(request: Request, visit: MemberVisit) -> Response:
    """Show the phone, the conversations, and the seven steps as they light up."""
    window = Window(Place.DEMO, chosen_conversation(request))
    async with visit.context.database.transaction(visit.login.business_id) as session:
        scene = await read_scene(session, visit, window)
    if window.chosen is not None and scene.opened is None:
        return problem(visit, 404, "missing")
    phone_url, phone_origin = _phone(visit)
    answer = page(visit, "demo.html", path="/demo", phone_url=phone_url, **_furniture(scene, window))
    answer.headers["Content-Security-Policy"] = content_policy(frame=phone_origin)
    return answer


def _phone(visit: MemberVisit) -> tuple[str, str]:
    """Return the address of the simulated phone, and the origin it lives at."""
    simulator_url = visit.context.simulator_url
    query = urlencode({"lang": visit.words.language, "parent": visit.context.public_url})
    parts = urlsplit(simulator_url)
    return f"{simulator_url}/phone?{query}", f"{parts.scheme}://{parts.netloc}"


def _furniture(scene: Scene, window: Window) -> View:
    return {
        "scene": scene,
        "live_url": window.live_url,
        "step_names": STEPS,
        "empty_conversation": EMPTY_CONVERSATION,
        "empty_message": EMPTY_MESSAGE,
    }
