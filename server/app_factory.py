"""The ASGI application of the api and calls roles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.api.routes import api_routes
from server.config import Settings
from server.domains.messaging.receiving import Receiver
from server.health import Health
from server.roles import Right, Role, require
from server.wiring import House, open_house


def create_app(settings: Settings, role: Role) -> Starlette:
    """Build the application; its connections open when it starts and close when it stops."""
    require(role, Right.SERVE_PEOPLE)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_house(settings) as house:
            app.router.routes.extend(routes(house, role))
            yield

    return Starlette(lifespan=lifespan)


def routes(house: House, role: Role) -> list[Route]:
    """Return the URLs of a role; people's pages and webhooks belong to the api."""
    health = Health(required={"postgres": house.database.ping}, reported={"redis": house.ping_redis})
    found = [Route(path, health_endpoint(health)) for path in ("/healthz", "/readyz", "/metrics")]
    if role is Role.API:
        found += api_routes(Receiver(house.database), house.outside)
    return found


def health_endpoint(health: Health) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that answers for the path it is mounted on."""

    async def answer(request: Request) -> Response:
        status, content_type, body = await health.answer(request.url.path)
        return Response(body, status, media_type=content_type.decode())

    return answer
