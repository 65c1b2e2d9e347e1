"""A whole simulated world on a real socket, and somebody who listens to its webhook."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.app import create_app
from simulator.server import SimulatorServer
from simulator.settings import Settings
from simulator.world import World

SECRET = "bridge-secret-of-the-tests"
DANA = "972501234567@s.whatsapp.net"
DEADLINE_S = 5


@dataclass
class Receiver:
    """The business's webhook: keeps what arrives; answers 200, or first the statuses in `answers`."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    secrets: list[str | None] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    async def receive(self, request: Request) -> Response:
        self.bodies.append(await request.json())
        self.secrets.append(request.headers.get("x-internal-secret"))
        return JSONResponse({"ok": True}, self.answers.pop(0) if self.answers else 200)

    def echoes(self) -> list[dict[str, Any]]:
        return [body for body in self.bodies if body.get("event") == "messages.upsert"]

    def receipts(self) -> list[dict[str, Any]]:
        return [body for body in self.bodies if body.get("event") == "messages.update"]


@dataclass
class Outside:
    """A running world, its address, a client for it, and its listener."""

    url: str
    client: httpx.AsyncClient
    receiver: Receiver
    world: World

    @property
    def port(self) -> int:
        return httpx.URL(self.url).port or 0

    async def behave(self, **behaviour: Any) -> httpx.Response:
        return await self.client.post("/sim/behaviour", json={"provider": "whatsapp_bridge", **behaviour})

    async def calls(self, **query: Any) -> list[dict[str, Any]]:
        listed = (await self.client.get("/sim/calls", params=query)).json()
        assert isinstance(listed, list)
        return listed

    async def send(self, text: str = "hello", **fields: Any) -> httpx.Response:
        body = {
            "to": DANA,
            "type": "text",
            "text": text,
            "tenantId": "business_6",
            "idempotencyKey": "k",
            **fields,
        }
        return await self.client.post("/bridge/send", json=body, headers={"X-Internal-Secret": SECRET})

    async def write(self, **fields: Any) -> httpx.Response:
        body = {"from": "972501234567", "name": "דנה", "kind": "text", **fields}
        return await self.client.post("/sim/phone/send", json=body)

    async def shown(self, chat: str = DANA) -> list[dict[str, Any]]:
        bubbles = (await self.client.get("/sim/phone/messages", params={"chat": chat})).json()
        assert isinstance(bubbles, list)
        return bubbles


async def until(condition: Callable[[], bool]) -> None:
    """Poll a condition; fail after five seconds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.01)


def listening() -> socket.socket:
    """Take a port and keep it: one that is only looked up may be a client's before a server has it."""
    return socket.create_server(("127.0.0.1", 0))


async def stop(server: uvicorn.Server) -> None:
    """Stop as uvicorn does, without its fixed pause; the process test covers the real way."""
    for listening in server.servers:
        listening.close()
    for connection in list(server.server_state.connections):
        connection.shutdown()
    await server.lifespan.shutdown()
    await until(lambda: not server.server_state.tasks and not server.server_state.connections)


@contextlib.asynccontextmanager
async def serving(server: uvicorn.Server, door: socket.socket) -> AsyncIterator[None]:
    """Start and stop a server in the test's own loop, without uvicorn's signals and its ticking."""
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup(sockets=[door])
    try:
        yield
    finally:
        await stop(server)


@contextlib.asynccontextmanager
async def outside_world(receiver: Receiver, **settings: Any) -> AsyncIterator[Outside]:
    hook_door, door = listening(), listening()
    hook_port, port = hook_door.getsockname()[1], door.getsockname()[1]
    hook = Starlette(routes=[Route("/hook", receiver.receive, methods=["POST"])])
    listener = uvicorn.Server(uvicorn.Config(hook, log_config=None, ws="none", lifespan="off"))
    settings = {"bridge_webhook_url": f"http://127.0.0.1:{hook_port}/hook", "retry_scale": 0.001, **settings}
    world = World(Settings(bridge_secret=SECRET, tenant="business_6", **settings))
    simulator = SimulatorServer(create_app(world), world, host="127.0.0.1", port=port)
    url = f"http://127.0.0.1:{port}"
    async with (
        serving(listener, hook_door),
        serving(simulator, door),
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        yield Outside(url, client, receiver, world)
