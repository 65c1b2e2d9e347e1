"""What `prosaas up` and its sister verbs read from their environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from server.errors import StartRefusedError
from server.roles import Role, parse_role

_LAST_PORT = 65535


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """A plain record: the supervisor lives long beside small servers and loads no settings library."""

    host: str
    port: int
    data_dir: Path
    public_url: str
    internal_secret: str
    secret_key: str
    database_url: str
    redis_url: str


def load_stack_settings(environ: Mapping[str, str] | None = None) -> StackSettings:
    """Read the environment; raise StartRefusedError with one sentence about a wrong value."""
    source = os.environ if environ is None else environ
    role = parse_role(source.get("SERVICE_ROLE") or Role.ALL)
    if role is not Role.ALL:
        raise StartRefusedError(
            f"SERVICE_ROLE={role} is one of the roles that `prosaas up` starts: unset it, or set it to all."
        )
    host = source.get("HOST") or "127.0.0.1"
    port = _port(source.get("PORT") or "8000")
    return StackSettings(
        host=host,
        port=port,
        data_dir=Path(source.get("DATA_DIR") or ".data").absolute(),
        public_url=source.get("PUBLIC_URL") or url_of(host, port),
        internal_secret=source.get("INTERNAL_SECRET") or "",
        secret_key=source.get("SECRET_KEY") or "",
        database_url=source.get("DATABASE_URL") or "",
        redis_url=source.get("REDIS_URL") or "",
    )


def url_of(host: str, port: int) -> str:
    """Return the address under which this machine reaches a server that listens there."""
    reached = "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _port(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= _LAST_PORT:
        raise StartRefusedError(f"PORT={value} is not a port: use a number from 1 to {_LAST_PORT}.")
    return int(value)
