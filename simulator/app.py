"""The outside world as one ASGI app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from simulator import bridge, cloud, cloud_control, control, n8n, openai, phone_api, phone_page
from simulator.errors import BadInputError
from simulator.log import AccessLog
from simulator.world import World


async def healthz(_request: Request) -> Response:
    """Say that the process lives."""
    return JSONResponse({"ok": True})


async def home(_request: Request) -> Response:
    """Lead to the phone, which is what a person comes for."""
    return RedirectResponse("/phone")


async def bad_input(_request: Request, error: Exception) -> Response:
    """Answer what cannot be understood with its sentence."""
    return JSONResponse({"error": str(error)}, 400)


def create_app(world: World) -> Starlette:
    """Build the app around one world, which it closes at the end."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        world.connection.announce()
        yield
        await world.close()

    app = Starlette(
        routes=[
            Route("/", home),
            Route("/healthz", healthz),
            Mount("/bridge", routes=bridge.ROUTES),
            Mount("/cloud", routes=cloud.ROUTES),
            Mount("/openai", routes=openai.ROUTES),
            Mount("/n8n", routes=n8n.ROUTES),
            *control.ROUTES,
            *openai.CONTROL,
            *cloud_control.ROUTES,
            *n8n.CONTROL_ROUTES,
            *phone_api.ROUTES,
            *phone_page.routes(),
        ],
        middleware=[Middleware(AccessLog)],
        exception_handlers={BadInputError: bad_input},
        lifespan=lifespan,
    )
    app.state.world = world
    return app
