"""Log lines are events with fields: no message text, no address, no secret."""

import logging
import sys
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = structlog.get_logger("simulator.http")

# Asked every second by whoever waits for the world to be up.
_QUIET_PATHS = frozenset({"/healthz", "/sim/calls"})


def configure_logging(log_format: str) -> None:
    """Write events to standard error, for people (console) or for machines (json)."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    renderer = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


class AccessLog:
    """Log each request's path and status; queries and bodies stay out, as they name people."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and log how it ended; `status` is None when no answer was given."""
        if scope["type"] != "http" or scope["path"] in _QUIET_PATHS:
            await self._app(scope, receive, send)
            return
        status: int | None = None

        async def noting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.monotonic()
        await self._app(scope, receive, noting_send)
        duration_ms = round((time.monotonic() - started) * 1000)
        _log.info(
            "request", method=scope["method"], path=scope["path"], status=status, duration_ms=duration_ms
        )
