"""Our own launcher of PostgreSQL: an embedded server under a data folder, as any user, root too.

The wheel's own launcher is not used: as root it adds a system user and opens
every parent folder to the world.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg

from server.errors import StartRefusedError
from server.stack.binaries import PostgresBinaries, find_postgres
from server.stack.child import AsUser, Child, Program
from server.stack.cluster import ClusterPlan, clear_stale_lock, major_of, make_cluster
from server.stack.identity import choose_user, give_to, reachable
from server.stack.waiting import until_ready

USER = "prosaas"
_SOCKET_PORT = 5432
_START_WITHIN_S = 30.0

_SETTINGS: Mapping[str, str] = {
    "max_connections": "200",
    "shared_buffers": "48MB",
    # A burst of messages writes tens of megabytes a second: with less, checkpoints would chase one another,
    # and after each one every page that is touched is written whole.
    "max_wal_size": "1GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "log_checkpoints": "off",
    "log_line_prefix": "",
    # A failing statement carries what people wrote: neither it nor its values may reach a log.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
# Survives the end of any process, not that of the machine.
_THROWAWAY: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True, kw_only=True)
class PostgresOptions:
    """Where the server keeps its data; how it is reached: a port of 127.0.0.1, or a private socket folder."""

    data: Path
    password: str = ""
    port: int | None = None
    sockets: Path | None = None
    # False for data that dies with a test run: nothing has to survive a power cut.
    durable: bool = True


class Postgres:
    """One cluster and its server."""

    def __init__(self, options: PostgresOptions, *, as_user: AsUser | None = None) -> None:
        self._options = options
        self._as_user = as_user
        self._child: Child | None = None

    def url(self, database: str = "postgres") -> str:
        """Return the address for asyncpg, SQLAlchemy and psql."""
        password = f":{quote(self._options.password, safe='')}" if self._options.password else ""
        if self._options.port is not None:
            return f"postgresql://{USER}{password}@127.0.0.1:{self._options.port}/{database}"
        folder = quote(str(self._options.sockets), safe="")
        return f"postgresql://{USER}{password}@/{database}?host={folder}&port={_SOCKET_PORT}"

    async def prepare(self) -> Program:
        """Make the cluster if there is none, and return the program that serves it."""
        options = self._options
        options.data.parent.mkdir(parents=True, exist_ok=True)
        as_user = self._as_user or choose_user()
        binaries = reachable(find_postgres(major=major_of(options.data)), as_user)
        if not options.data.exists():
            # A password nobody knows still closes the port when only the socket is meant to be used.
            password = options.password or secrets.token_urlsafe()
            plan = ClusterPlan(
                user=USER, password=password, as_user=as_user, env=_environment(), durable=options.durable
            )
            await make_cluster(binaries, options.data, plan)
        give_to(as_user, options.data, *([options.sockets] if options.sockets else []))
        return self._program(binaries, as_user)

    def _program(self, binaries: PostgresBinaries, as_user: AsUser) -> Program:
        async def before() -> None:
            await clear_stale_lock(self._options.data)

        return Program(
            name="postgres",
            argv=(binaries.postgres, "-D", str(self._options.data.resolve()), *self._arguments()),
            env=_environment(),
            as_user=as_user,
            # SIGINT is PostgreSQL's fast shutdown; SIGQUIT its immediate one, which takes its children along.
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGQUIT,
            before=before,
            ready=self.answers,
        )

    def _arguments(self) -> list[str]:
        options = self._options
        address = "127.0.0.1" if options.port is not None else ""
        given = {
            **_SETTINGS,
            **({} if options.durable else _THROWAWAY),
            "listen_addresses": address,
            "port": str(options.port if options.port is not None else _SOCKET_PORT),
            "unix_socket_directories": str(options.sockets or ""),
            "unix_socket_permissions": "0700",
        }
        return [part for name, value in given.items() for part in ("-c", f"{name}={value}")]

    async def answers(self) -> bool:
        """Say whether the server takes connections; raise when it is not ours (the password is wrong)."""
        try:
            connection = await asyncpg.connect(self.url(), timeout=2)
        except asyncpg.InvalidPasswordError:
            raise StartRefusedError(
                f"The database in {self._options.data} does not accept the password kept beside it: "
                "restore secrets.json, or start with another DATA_DIR."
            ) from None
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True

    async def ensure_database(self, name: str) -> None:
        """Create a database unless it is there."""
        connection = await asyncpg.connect(self.url())
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()

    async def start(self, *, output: int = subprocess.DEVNULL) -> Child:
        """Start the server by itself, as tests do, and wait until it answers."""
        program = await self.prepare()
        await program.before()
        self._child = Child.spawn(program, output=output)
        await until_ready(self._child, within_s=_START_WITHIN_S)
        return self._child

    async def stop(self) -> int:
        """Stop a server started by `start`; returns its exit code."""
        return await self._child.stop(within_s=10) if self._child else 0


def _environment() -> dict[str, str]:
    # PG* variables of the person who starts us would change whom our server and our clients talk to.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return kept | {"LC_MESSAGES": "C", "TZ": "UTC"}
