"""One role as a real process on the run's own PostgreSQL and Redis, for the tests of roles."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from server.roles import Role
from server.stack.child import Child
from server.stack.programs import Addresses, role_program
from server.stack.waiting import until_ready

SECRET = "the-bridges-own-secret"
# What a shell of ours may hold and a role must not see by accident.
OURS = {"SERVICE_ROLE", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENABLE_SCHEDULERS", "PORT", "HEALTH_PORT"}


@dataclass(frozen=True)
class Started:
    """A running role: an HTTP client for its port, and what it has written so far."""

    role: Role
    http: httpx.AsyncClient
    log: Path

    @property
    def said(self) -> str:
        """What the process wrote."""
        return self.log.read_text(encoding="utf-8")


def addresses(database_url: str, redis_url: str, port: int) -> Addresses:
    """Describe an installation whose every role would listen on this port; start one at a time."""
    return Addresses(
        host="127.0.0.1",
        ports=dict.fromkeys(Role, port),
        public_url=f"http://127.0.0.1:{port}",
        simulator_url="",
        database_url=database_url,
        redis_url=redis_url,
        secret_key="k" * 40,
        internal_secret=SECRET,
    )


def refused(role: Role, where: Addresses) -> subprocess.CompletedProcess[str]:
    """Start a role that must refuse; return what it said."""
    program = role_program(role, where)
    return subprocess.run(
        program.argv, env=dict(program.env), capture_output=True, text=True, timeout=30, check=False
    )


def command(module: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with this environment and nothing of ours; return what it said."""
    clean = {name: value for name, value in os.environ.items() if name not in OURS}
    return subprocess.run(
        [sys.executable, "-m", module],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@asynccontextmanager
async def started(role: Role, where: Addresses, folder: Path, **environment: str) -> AsyncIterator[Started]:
    """Run a role while the block runs, from the moment it is ready."""
    program = role_program(role, where)
    program = replace(program, env={**program.env, **environment})
    log = folder / f"{role}.log"
    with log.open("wb") as output:
        child = Child.spawn(program, output=output.fileno())
    try:
        await until_ready(child, within_s=30)
        base_url = f"http://127.0.0.1:{where.ports[role]}"
        async with httpx.AsyncClient(base_url=base_url, timeout=10) as http:
            yield Started(role, http, log)
    finally:
        await child.stop(within_s=10)
