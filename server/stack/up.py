"""`prosaas up`: everything on this machine with one command, until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from server.errors import StartRefusedError
from server.roles import Role
from server.stack.child import Child, Program
from server.stack.data_dir import DataDir
from server.stack.merged_log import MergedLog
from server.stack.postgres import Postgres
from server.stack.programs import (
    DEMO_BUSINESS_ID,
    Addresses,
    role_program,
    shared_environment,
    simulator_program,
)
from server.stack.reach import DATABASE, embedded_postgres, embedded_valkey
from server.stack.settings import StackSettings, url_of
from server.stack.sockets import first_free, is_free
from server.stack.supervisor import Supervisor
from server.stack.valkey import Valkey

_ALMOST_FULL_BYTES = 16 * 1024 * 1024
_ROLES = (Role.API, Role.CALLS, Role.WORKER, Role.SCHEDULER)
# How far from PORT each process prefers to listen.
_OFFSETS = {Role.CALLS: 1, "simulator": 2, Role.WORKER: 3, Role.SCHEDULER: 4}


@dataclass(frozen=True)
class Servers:
    """PostgreSQL and Redis: ours, or None where the operator named another."""

    postgres: Postgres | None
    valkey: Valkey | None


async def up(settings: StackSettings) -> None:
    """Start everything, say READY, and keep it running until a stop signal."""
    data = DataDir(settings.data_dir)
    with data.locked(settings.public_url):
        _require_free(settings)
        data.require_room()
        supervisor = Supervisor(MergedLog())
        try:
            await supervisor.run(lambda: _start(settings, data, supervisor))
        except StartRefusedError:
            # Whatever refused may have refused for want of room: then that is the sentence to read.
            data.require_room(_ALMOST_FULL_BYTES)
            raise


def _require_free(settings: StackSettings) -> None:
    if not is_free(settings.port, settings.host):
        raise StartRefusedError(
            f"Port {settings.port} is taken by another program: stop it, or choose another, "
            f"for example PORT={settings.port + 10} ./run"
        )


async def _start(settings: StackSettings, data: DataDir, supervisor: Supervisor) -> None:
    ports = _choose_ports(settings)
    servers = _choose_servers(settings, data, set(ports.values()))
    where = _addresses(settings, data, servers, ports)
    await _start_servers(servers, supervisor)
    admin_link, number = await _prepare(where, supervisor)
    await supervisor.start_stage(simulator_program(where, number))
    await supervisor.start_stage(*(role_program(role, where) for role in _ROLES))
    _announce(where, admin_link, supervisor)


def _choose_ports(settings: StackSettings) -> dict[str, int]:
    taken = {settings.port}
    others = {
        name: first_free(settings.port + offset, taken=taken, host=settings.host)
        for name, offset in _OFFSETS.items()
    }
    return {Role.API: settings.port, **others}


def _choose_servers(settings: StackSettings, data: DataDir, taken: set[int]) -> Servers:
    known = data.secrets()
    kept = replace(
        known,
        postgres_port=first_free(known.postgres_port, taken=taken),
        redis_port=first_free(known.redis_port, taken=taken),
    )
    data.keep(kept)
    return Servers(
        None if settings.database_url else embedded_postgres(settings, kept),
        None if settings.redis_url else embedded_valkey(settings, kept),
    )


def _addresses(settings: StackSettings, data: DataDir, servers: Servers, ports: dict[str, int]) -> Addresses:
    kept = data.secrets()
    return Addresses(
        host=settings.host,
        ports=ports,
        public_url=settings.public_url,
        simulator_url=url_of("127.0.0.1", ports["simulator"]),
        database_url=servers.postgres.url(DATABASE) if servers.postgres else settings.database_url,
        redis_url=servers.valkey.url() if servers.valkey else settings.redis_url,
        secret_key=settings.secret_key or kept.secret_key,
        internal_secret=settings.internal_secret or kept.internal_secret,
    )


async def _start_servers(servers: Servers, supervisor: Supervisor) -> None:
    programs: list[Program] = []
    if servers.postgres:
        programs.append(await servers.postgres.prepare())
    if servers.valkey:
        programs.append(servers.valkey.prepare())
    if programs:
        await supervisor.start_stage(*programs)
    if servers.postgres:
        await servers.postgres.ensure_database(DATABASE)


async def _prepare(where: Addresses, supervisor: Supervisor) -> tuple[str, dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="prosaas-") as folder:
        result = Path(folder) / "result.json"
        program = Program(
            name="prepare",
            argv=(sys.executable, "-m", "server.stack.prepare"),
            env=shared_environment(where)
            | {"INTERNAL_SECRET": where.internal_secret, "PREPARE_RESULT": str(result)},
        )
        output = await supervisor.log.pipe(program.name)
        child = Child.spawn(program, output=output)
        os.close(output)
        try:
            code = await child.wait()
        finally:
            child.kill()
        if code != 0:
            raise StartRefusedError("The database could not be prepared: the log above says why.")
        prepared = json.loads(result.read_text(encoding="utf-8"))
        return prepared["admin_link"], prepared["number"]


def _announce(where: Addresses, admin_link: str, supervisor: Supervisor) -> None:
    ready = {
        "url": where.public_url,
        "calls_url": url_of(where.host, where.ports[Role.CALLS]),
        "simulator_url": where.simulator_url,
        "admin_link": admin_link,
        "database_url": where.database_url,
        "redis_url": where.redis_url,
        "demo_business_id": DEMO_BUSINESS_ID,
        "pids": supervisor.pids | {"supervisor": [os.getpid()]},
    }
    # Whoever started us may have stopped listening; the system runs all the same.
    with contextlib.suppress(OSError, ValueError):
        print("READY " + json.dumps(ready))
        print(f"ProSaaS is ready. Open {admin_link}", flush=True)
