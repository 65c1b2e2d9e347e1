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
APP_SECRET, ACCESS_TOKEN, VERIFY_TOKEN = "app-secret-of-the-tests", "cloud-token-of-the-tests", "verify-me"
DANA = "972501234567@s.whatsapp.net"
CLOUD_MESSAGES = "/cloud/v23.0/106540352242922/messages"
DEADLINE_S = 5


@dataclass
class Receiver:
    """The business's webhook: keeps what arrives; answers 200, or first the statuses in `answers`."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    signatures: list[str | None] = field(default_factory=list)
    secrets: list[str | None] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    async def receive(self, request: Request) -> Response:
        if request.method == "GET":
            return verified(request)
        self.raw.append(await request.body())
        self.signatures.append(request.headers.get("x-hub-signature-256"))
        self.bodies.append(await request.json())
        self.secrets.append(request.headers.get("x-internal-secret"))
        return JSONResponse({"ok": True}, self.answers.pop(0) if self.answers else 200)

    def changes(self, field: str = "messages") -> list[dict[str, Any]]:
        """List the values that Meta posted for one field, in the order they came."""
        changes = [
            change for body in self.bodies for entry in body.get("entry", []) for change in entry["changes"]
        ]
        return [change["value"] for change in changes if change["field"] == field]

    def statuses(self) -> list[dict[str, Any]]:
        return [status for value in self.changes() for status in value.get("statuses", [])]

    def echoes(self) -> list[dict[str, Any]]:
        return [body for body in self.bodies if body.get("event") == "messages.upsert"]

    def receipts(self) -> list[dict[str, Any]]:
        return [body for body in self.bodies if body.get("event") == "messages.update"]


def verified(request: Request) -> Response:
    """Answer Meta's verification as a business's webhook has to."""
    if request.query_params.get("hub.verify_token") != VERIFY_TOKEN:
        return Response(status_code=403)
    return Response(request.query_params["hub.challenge"], media_type="text/plain")


@dataclass
class Outside:
    """A running world, its address, a client for it, and its listener."""

    url: str
    client: httpx.AsyncClient
    receiver: Receiver
    world: World
    hook_url: str = ""

    async def connect_cloud(self, **fields: Any) -> dict[str, Any]:
        told = {"webhook_url": self.hook_url, "app_secret": APP_SECRET}
        told |= {"verify_token": VERIFY_TOKEN, "access_token": ACCESS_TOKEN, **fields}
        answer = await self.client.post("/sim/cloud", json=told)
        connected: dict[str, Any] = answer.json()
        return connected

    async def send_cloud(self, *, token: str = ACCESS_TOKEN, **fields: Any) -> httpx.Response:
        body = {"messaging_product": "whatsapp", "to": DANA.partition("@")[0], **fields}
        headers = {"Authorization": f"Bearer {token}"}
        return await self.client.post(CLOUD_MESSAGES, json=body, headers=headers)

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
    hook = Starlette(routes=[Route("/hook", receiver.receive, methods=["GET", "POST"])])
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
        yield Outside(url, client, receiver, world, settings["bridge_webhook_url"])
