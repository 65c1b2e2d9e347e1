"""`python -m server`: start the role that SERVICE_ROLE names."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

import uvicorn
import uvloop

from server import log
from server.config import Settings, load_settings
from server.errors import StartRefusedError
from server.health import KEEP_ALIVE_S
from server.listening import listen
from server.roles import Right, Role, parse_role, require
from server.whole_answers import WholeAnswers

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

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Answer signals in the loop and do not raise them again: the house closes after the last answer."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def serve(settings: Settings) -> int:
    """Serve HTTP as api or calls until SIGTERM or SIGINT."""
    require(settings.service_role, Right.SERVE_PEOPLE)
    log.configure(log_format=settings.log_format, level=settings.log_level)
    return uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    from server.app_factory import create_app
    from server.wiring import open_house

    stopping = asyncio.Event()
    async with open_house(settings) as house:
        config = uvicorn.Config(
            create_app(house, settings.service_role, stopping),
            http=WholeAnswers,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_S,
            proxy_headers=False,
        )
        server = _Server(config, stopping)
        sockets = listen(settings.host, settings.port, "PORT")
        log.get_logger("server").info("people_are_served", host=settings.host, port=settings.port)
        await server.serve(sockets=sockets)
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
