"""The pages on a real socket, over a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import uvicorn
from starlette.applications import Starlette

from server.db import Database
from server.health import KEEP_ALIVE_S
from server.ports import Outside
from server.queue import Changed
from server.secrets import Cipher
from server.web.context import WebContext, open_web
from server.web.keeper import Timekeeper
from server.web.routes import web_middleware, web_routes

BRIDGE_URL = "http://bridge.test:3000"


@dataclass
class Hints:
    """A feed within this process."""

    listeners: list[tuple[int, asyncio.Queue[Changed]]] = field(default_factory=list)

    def tell(self, business_id: int) -> None:
        for listens_to, queue in self.listeners:
            if listens_to == business_id:
                queue.put_nowait(Changed(business_id, "conversation", "any"))

    @asynccontextmanager
    async def subscribe(self, business_id: int) -> AsyncIterator[AsyncIterator[Changed]]:
        place = (business_id, asyncio.Queue[Changed]())
        self.listeners.append(place)
        try:
            yield self._each(place[1])
        finally:
            self.listeners.remove(place)

    @staticmethod
    async def _each(queue: asyncio.Queue[Changed]) -> AsyncIterator[Changed]:
        while True:
            yield await queue.get()


@dataclass
class Site:
    url: str
    context: WebContext
    hints: Hints
    server: uvicorn.Server

    def visitor(self) -> httpx.AsyncClient:
        """A browser without a history."""
        return httpx.AsyncClient(base_url=self.url, timeout=10)

    async def stop(self) -> None:
        self.context.stopping.set()
        self.server.should_exit = True


async def nobody() -> None:
    """Keep no time."""


@asynccontextmanager
async def open_site(
    database_url: str,
    port: int,
    *,
    simulator_url: str = "",
    public_url: str | None = None,
    timekeeper: Timekeeper = nobody,
    outside: Outside | None = None,
) -> AsyncIterator[Site]:
    url, hints = f"http://127.0.0.1:{port}", Hints()
    database = Database(database_url, role="prosaas_api")
    context = open_web(
        database=database,
        live=hints,
        timekeeper=timekeeper,
        public_url=public_url or url,
        simulator_url=simulator_url,
        cipher=Cipher("k" * 32),
        stopping=asyncio.Event(),
        bridge_urls=(BRIDGE_URL,),
        outside=outside,
    )
    app = Starlette(routes=web_routes(context), middleware=web_middleware())
    config = uvicorn.Config(app, port=port, log_config=None, lifespan="off", timeout_graceful_shutdown=5)
    config.timeout_keep_alive = KEEP_ALIVE_S
    server = uvicorn.Server(config)
    site = Site(url, context, hints, server)
    serving = asyncio.create_task(server._serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield site
    finally:
        await site.stop()
        await serving
        await database.aclose()
