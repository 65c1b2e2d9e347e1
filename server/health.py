"""Health in every role: `/healthz`, `/readyz` and `/metrics`, as one small ASGI application.

The api and calls mount it; the worker and the scheduler serve it on a small port of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

from server.listening import listen
from server.log import get_logger

log = get_logger(__name__)

CHECK_TIMEOUT_S = 3.0
# Longer than the idle time of load balancers (60 s in common ones): they reuse what we would just close.
KEEP_ALIVE_S = 75

TYPE_JSON = b"application/json"


class Health:
    """What a process says of itself. A check raises, or returns a short text, for its line in /readyz.

    `required` checks decide readiness; the others are only reported. `before_metrics` reads what has to be
    read for them, and takes care of its own time. `beat_age_s` is how long ago the process ended its last
    round, where it works in rounds.
    """

    def __init__(
        self,
        *,
        required: Mapping[str, Callable[[], Awaitable[None]]],
        reported: Mapping[str, Callable[[], Awaitable[None]]] | None = None,
        is_alive: Callable[[], bool] = lambda: True,
        is_stopping: Callable[[], bool] = lambda: False,
        beat_age_s: Callable[[], float] | None = None,
        registry: CollectorRegistry = REGISTRY,
        before_metrics: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._required = dict(required)
        self._reported = dict(reported or {})
        self._is_alive = is_alive
        self._is_stopping = is_stopping
        self._beat_age_s = beat_age_s
        self._registry = registry
        self._before_metrics = before_metrics

    async def answer(self, path: str) -> tuple[int, bytes, bytes]:
        """Return status, content type and body for one of the three paths; 404 for others."""
        match path:
            case "/healthz":
                alive = self._is_alive()
                beat = {"beat_age_s": round(self._beat_age_s(), 1)} if self._beat_age_s else {}
                return (200 if alive else 503), TYPE_JSON, orjson.dumps({"alive": alive} | beat)
            case "/readyz":
                return await self._ready()
            case "/metrics":
                if self._before_metrics is not None:
                    await self._before_metrics()
                return 200, CONTENT_TYPE_LATEST.encode(), generate_latest(self._registry)
            case _:
                return 404, TYPE_JSON, orjson.dumps({"error": "not_found"})

    async def _ready(self) -> tuple[int, bytes, bytes]:
        checks = self._required | self._reported
        told = dict(zip(checks, await asyncio.gather(*map(_told, checks.values())), strict=True))
        ready = not self._is_stopping() and all(told[name] == "ok" for name in self._required)
        return (200 if ready else 503), TYPE_JSON, orjson.dumps({"ready": ready} | told)

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        """Serve as an ASGI application of its own."""
        if scope["type"] != "http":
            return
        status, content_type, body = await self.answer(scope["path"])
        headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _told(check: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except Exception as error:  # noqa: BLE001 -- whatever is wrong with it, the answer is its name
        return type(error).__name__
    return "ok"


class _QuietServer(uvicorn.Server):
    """A server beside the process's own work: signals belong to that."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signal handlers as they are."""
        yield


@asynccontextmanager
async def serving_health(health: Health, *, host: str, port: int) -> AsyncIterator[None]:
    """Serve health on a port of its own while the block runs; raise StartRefusedError where it is taken."""
    config = uvicorn.Config(
        health,
        log_config=None,
        lifespan="off",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    server = _QuietServer(config)
    task = asyncio.create_task(server.serve(sockets=listen(host, port, "HEALTH_PORT")))
    try:
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.01)
        log.info("health_listens", port=port)
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
