"""The strings that tests and scripts pull: everything under /sim."""

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.behaviours import ProviderName, parse_order
from simulator.bridge_connection import DISCONNECTED, REASONS, STATES
from simulator.errors import BadInputError
from simulator.jsontypes import read_object
from simulator.world import world_of

DEFAULT_LISTED = 1_000
MOST_LISTED = 100_000
_RANGE = re.compile(r"bytes=(?P<first>\d+)-(?P<last>\d*)", re.ASCII)


async def list_calls(request: Request) -> Response:
    """List the calls after number `after`, oldest first."""
    query = request.query_params
    name = query.get("provider")
    if name is not None and name not in set(ProviderName):
        raise BadInputError(f"Unknown provider {name!r}: use one of {', '.join(ProviderName)}.")
    after = _number(query.get("after", "0"), "after")
    limit = min(_number(query.get("limit", str(DEFAULT_LISTED)), "limit"), MOST_LISTED)
    calls = world_of(request).calls.after(after, provider=name, limit=limit)
    return JSONResponse([call.as_json() for call in calls])


async def behave(request: Request) -> Response:
    """Say how a provider answers its next calls."""
    order = parse_order(await read_object(request))
    world_of(request).order(order)
    return JSONResponse({"ok": True})


async def reset(request: Request) -> Response:
    """Start over."""
    world_of(request).reset()
    return JSONResponse({"ok": True})


async def media(request: Request) -> Response:
    """Serve a file that a customer or the business sent."""
    stored = world_of(request).media.get(request.path_params["name"])
    if stored is None:
        return JSONResponse({"error": "There is no such file, or it had to make room."}, 404)
    headers = {"Content-Security-Policy": "default-src 'none'; sandbox", "Accept-Ranges": "bytes"}
    # Browsers learn a recording's length, and let it be wound, only where they may ask for a part.
    part = _RANGE.fullmatch(request.headers.get("range", ""))
    if part is None:
        return Response(stored.data, media_type=stored.mimetype, headers=headers)
    size, first = len(stored.data), int(part["first"])
    last = min(int(part["last"] or size), size - 1)
    if first > last:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Response(stored.data[first : last + 1], 206, media_type=stored.mimetype, headers=headers)


async def forget_media(request: Request) -> Response:
    """Let a file be gone, as WhatsApp's are after some days."""
    media_id = request.path_params["name"].partition(".")[0]
    return JSONResponse({"forgotten": world_of(request).media.remove(media_id)})


async def change_connection(request: Request) -> Response:
    """Let the bridge lose WhatsApp, wait for its code to be scanned, or be connected again."""
    body, connection = await read_object(request), world_of(request).connection
    state, reason = body.get("state"), body.get("reason")
    if state not in STATES:
        raise BadInputError(f"state must be one of {', '.join(STATES)}.")
    if reason is not None and (state != DISCONNECTED or reason not in REASONS):
        raise BadInputError(f"reason is for {DISCONNECTED}: one of {', '.join(REASONS)}, or none.")
    return JSONResponse({"webhook_status": await connection.change(str(state), reason)})


ROUTES = [
    Route("/sim/bridge/connection", change_connection, methods=["POST"]),
    Route("/sim/calls", list_calls),
    Route("/sim/behaviour", behave, methods=["POST"]),
    Route("/sim/reset", reset, methods=["POST"]),
    Route("/sim/media/{name}", media),
    Route("/sim/media/{name}", forget_media, methods=["DELETE"]),
]


def _number(value: str, name: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise BadInputError(f"{name} must be a whole number, not {value!r}.")
    return int(value)
