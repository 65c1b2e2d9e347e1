"""uvicorn, with a connection that a provider may close without an answer."""

from collections.abc import Callable
from socket import socket
from typing import cast

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from simulator.world import World

CONNECTION = "simulator.connection"
SHUTDOWN_GRACE_S = 3


class ClosableProtocol(HttpToolsProtocol):
    """Hands each request the means to close its connection, which ASGI itself does not offer."""

    def on_message_begin(self) -> None:
        """Begin a request whose scope carries the transport's close()."""
        super().on_message_begin()
        self.scope["extensions"] = {CONNECTION: {"close": self.transport.close}}


class NoAnswer(Response):
    """Close the connection without a byte: the client sees end of file, not a 500."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI gives it
        """Close, then wait until the server knows, or it would send a 500 into the closed connection."""
        close = cast("Callable[[], None]", scope["extensions"][CONNECTION]["close"])
        close()
        message = await receive()
        while message["type"] != "http.disconnect":
            message = await receive()


class SimulatorServer(uvicorn.Server):
    """A server that lets go of hanging calls and open event streams before it stops."""

    def __init__(self, app: ASGIApp, world: World, *, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=ClosableProtocol,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
            )
        )
        self._world = world

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Let everyone go, then stop as uvicorn does."""
        self._world.release_waiting()
        self._world.phones.close()
        await super().shutdown(sockets)
