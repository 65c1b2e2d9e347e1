"""python -m simulator: the outside world in a box, on one port."""

import argparse
import asyncio
import os
import signal
import sys
from types import FrameType
from urllib.parse import urlsplit

from simulator.app import create_app
from simulator.cloud_control import parse_connection
from simulator.cloud_number import Connection
from simulator.errors import BadInputError
from simulator.jsontypes import parse_object
from simulator.log import configure_logging
from simulator.server import SimulatorServer
from simulator.settings import Settings
from simulator.world import World


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument(
        "--bridge-webhook-url", type=_url, required=True, help="where the bridge posts messages"
    )
    parser.add_argument(
        "--bridge-status-url", type=_url, metavar="URL", help="where the bridge reports its connection"
    )
    parser.add_argument(
        "--bridge-secret-env",
        required=True,
        metavar="NAME",
        help="environment variable with the bridge's secret",
    )
    parser.add_argument(
        "--tenant", required=True, help="the business the phone writes to, such as business_6"
    )
    parser.add_argument(
        "--parent-origin",
        type=_url,
        action="append",
        default=[],
        metavar="URL",
        help="origin of a page that may show the phone in a frame; may be given several times",
    )
    parser.add_argument(
        "--cloud-env",
        metavar="NAME",
        help="environment variable with the JSON that POST /sim/cloud takes, to connect the Cloud number",
    )
    _add_behaviour(parser)
    return parser


def _add_behaviour(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--echo",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="report the business's own messages",
    )
    parser.add_argument(
        "--receipts",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="report that messages were delivered",
    )
    parser.add_argument(
        "--retry-scale",
        type=float,
        default=1.0,
        help="factor on the bridge's retry delays (default %(default)s)",
    )
    parser.add_argument(
        "--log-format",
        choices=["console", "json"],
        default=os.environ.get("LOG_FORMAT", "console"),
        help="log lines",
    )


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{value!r} is not an http address")
    return value.rstrip("/")


def _settings(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Settings:
    secret = os.environ.get(arguments.bridge_secret_env)
    if not secret:
        parser.error(f"set {arguments.bridge_secret_env} to the bridge's secret: it is empty or missing")
    return Settings(
        bridge_webhook_url=arguments.bridge_webhook_url,
        bridge_secret=secret,
        tenant=arguments.tenant,
        bridge_status_url=arguments.bridge_status_url,
        parent_origins=tuple(arguments.parent_origin),
        echo=arguments.echo,
        receipts=arguments.receipts,
        retry_scale=arguments.retry_scale,
    )


def _connection(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Connection | None:
    told = os.environ.get(arguments.cloud_env or "", "")
    if not told:
        return None
    try:
        return parse_connection(parse_object(told.encode()))
    except BadInputError as error:
        parser.error(f"{arguments.cloud_env}: {error}")


async def _serve(settings: Settings, connection: Connection | None, *, host: str, port: int) -> None:
    world = World(settings)
    if connection:
        world.cloud.agree(connection)
    await SimulatorServer(create_app(world), world, host=host, port=port).serve()


def _end_well(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> int:
    """Serve until told to stop."""
    parser = _parser()
    arguments = parser.parse_args()
    settings, connection = _settings(parser, arguments), _connection(parser, arguments)
    configure_logging(arguments.log_format)
    # uvicorn stops in order on SIGTERM and then raises it once more: being told to stop is no failure.
    signal.signal(signal.SIGTERM, _end_well)
    try:
        asyncio.run(_serve(settings, connection, host=arguments.host, port=arguments.port))
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
