"""The ASGI application of the api and calls roles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from server.api.routes import api_routes
from server.api.sending import Programs
from server.domains.messaging import Doors, Receiver
from server.health import Health
from server.queue import schedules
from server.queue.live import RedisLive
from server.roles import Right, Role, require
from server.web.context import open_web
from server.web.routes import web_middleware, web_routes
from server.wiring import House


class Front:
    """Hands what providers post straight to its route, and everything else to the pages' framework."""

    def __init__(self, posted: Sequence[Route], rest: ASGIApp) -> None:
        self._posted = {route.path: route.handle for route in posted if not route.param_convertors}
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        app = self._posted.get(scope["path"], self._rest) if scope["type"] == "http" else self._rest
        await app(scope, receive, send)


def create_app(house: House, role: Role, stopping: asyncio.Event | None = None) -> ASGIApp:
    """Build the application of a role on an open house; people's pages and webhooks belong to the api.

    Set `stopping` when the server begins to stop: live pages end, readiness turns false.
    """
    require(role, Right.SERVE_PEOPLE)
    posted = machines(house) if role is Role.API else []
    others = [route for route in posted if route.param_convertors]
    return Front(posted, Starlette(routes=[*others, *routes(house, role, stopping or asyncio.Event())]))


def machines(house: House) -> list[Route]:
    """Return the URLs that providers post to, and those of businesses' own programs."""
    database, outside = house.database, house.outside
    providers = api_routes(database, Receiver(database), Doors(database), outside)
    return [*providers, *Programs(database, outside).routes()]


def routes(house: House, role: Role, stopping: asyncio.Event) -> list[BaseRoute]:
    """Return the URLs of a role that people and probes open."""
    health = Health(
        required={"postgres": house.database.ping},
        reported={"redis": house.ping_redis},
        is_stopping=stopping.is_set,
    )
    found: list[BaseRoute] = [
        Route(path, health_endpoint(health)) for path in ("/healthz", "/readyz", "/metrics")
    ]
    if role is Role.API:
        found.append(pages(house, stopping))
    return found


def pages(house: House, stopping: asyncio.Event) -> Mount:
    """Return everything that people open in a browser."""
    context = open_web(
        database=house.database,
        live=RedisLive(house.redis),
        timekeeper=partial(schedules.timekeeper, house.redis),
        public_url=house.settings.public_url,
        simulator_url=house.settings.simulator_url,
        cipher=house.cipher,
        stopping=stopping,
        outside=house.outside,
        bridge_urls=house.settings.bridge_urls,
    )
    return Mount("/", routes=web_routes(context), middleware=web_middleware())


def health_endpoint(health: Health) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that answers for the path it is mounted on."""

    async def answer(request: Request) -> Response:
        status, content_type, body = await health.answer(request.url.path)
        return Response(body, status, media_type=content_type.decode())

    return answer
