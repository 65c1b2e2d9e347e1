"""The ASGI application of the api and calls roles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from server.api.routes import api_routes
from server.domains.messaging import Receiver
from server.health import Health
from server.queue.live import RedisLive
from server.roles import Right, Role, require
from server.web.context import open_web
from server.web.routes import web_middleware, web_routes
from server.wiring import House


def create_app(house: House, role: Role, stopping: asyncio.Event | None = None) -> Starlette:
    """Build the application of a role on an open house.

    Set `stopping` when the server begins to stop: live pages end, readiness turns false.
    """
    require(role, Right.SERVE_PEOPLE)
    return Starlette(routes=routes(house, role, stopping or asyncio.Event()))


def routes(house: House, role: Role, stopping: asyncio.Event) -> list[BaseRoute]:
    """Return the URLs of a role; people's pages and webhooks belong to the api."""
    health = Health(
        required={"postgres": house.database.ping},
        reported={"redis": house.ping_redis},
        is_stopping=stopping.is_set,
    )
    found: list[BaseRoute] = [
        Route(path, health_endpoint(health)) for path in ("/healthz", "/readyz", "/metrics")
    ]
    if role is Role.API:
        found += api_routes(Receiver(house.database), house.outside)
        found.append(pages(house, stopping))
    return found


def pages(house: House, stopping: asyncio.Event) -> Mount:
    """Return everything that people open in a browser."""
    context = open_web(
        database=house.database,
        live=RedisLive(house.redis),
        public_url=house.settings.public_url,
        simulator_url=house.settings.simulator_url,
        stopping=stopping,
    )
    return Mount("/", routes=web_routes(context), middleware=web_middleware())


def health_endpoint(health: Health) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that answers for the path it is mounted on."""

    async def answer(request: Request) -> Response:
        status, content_type, body = await health.answer(request.url.path)
        return Response(body, status, media_type=content_type.decode())

    return answer
