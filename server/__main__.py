"""`python -m server`: start the role that SERVICE_ROLE names."""

from __future__ import annotations

import asyncio
import os
import sys
from types import FrameType

import uvicorn

from server import log
from server.config import Settings, load_settings
from server.errors import StartRefusedError
from server.roles import Right, Role, parse_role, require

KEEP_ALIVE_S = 75
SHUTDOWN_S = 5


def main() -> int:
    """Start; returns the exit code, 2 for a refusal whose sentence is on standard error."""
    try:
        match parse_role(os.environ.get("SERVICE_ROLE")):
            case Role.API | Role.CALLS:
                return serve(load_settings())
            case Role.WORKER:
                from server.worker.__main__ import main as work

                return work()
            case Role.SCHEDULER:
                from server.scheduler.run_scheduler import main as keep_time

                return keep_time()
            case Role.ALL:
                from server.stack.cli import main as command

                return command(["up"])
    except StartRefusedError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 2


class _Server(uvicorn.Server):
    """Tells the application as soon as it is asked to stop, so that live pages end first."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop."""
        self._stopping.set()
        super().handle_exit(sig, frame)


def serve(settings: Settings) -> int:
    """Serve HTTP as api or calls until SIGTERM or SIGINT."""
    require(settings.service_role, Right.SERVE_PEOPLE)
    log.configure(log_format=settings.log_format, level=settings.log_level)
    from server.app_factory import create_app

    stopping = asyncio.Event()
    config = uvicorn.Config(
        create_app(settings, settings.service_role, stopping),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        proxy_headers=False,
    )
    server = _Server(config, stopping)
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
