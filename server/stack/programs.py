"""The simulator and the four roles as programs: their commands, environments and signs of life."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from server.roles import Role
from server.stack.child import Program
from server.stack.settings import url_of

DEMO_BUSINESS_ID = 6
_ANSWER_WITHIN_S = 5.0
_ROLE_GRACE_S = 7.0
# Less than the grace above: a worker checkpoints by itself before it would be killed.
_DRAIN_GRACE_S = "5"
_MODULES: Mapping[Role, str] = {
    Role.API: "server",
    Role.CALLS: "server",
    Role.WORKER: "server.worker",
    Role.SCHEDULER: "server.scheduler.run_scheduler",
}


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where everything listens, and the secrets that go with it."""

    host: str
    ports: Mapping[str, int]
    public_url: str
    simulator_url: str
    database_url: str
    redis_url: str
    secret_key: str
    internal_secret: str


def role_program(role: Role, where: Addresses) -> Program:
    """Return the program of one role."""
    port = where.ports[role]
    serves_people = role in {Role.API, Role.CALLS}
    return Program(
        name=role,
        argv=(sys.executable, "-m", _MODULES[role]),
        env=shared_environment(where)
        | {"SERVICE_ROLE": role, ("PORT" if serves_people else "HEALTH_PORT"): str(port)},
        stop_grace_s=_ROLE_GRACE_S,
        ready=ready_at(port, "/readyz", host=where.host if serves_people else "127.0.0.1"),
    )


def simulator_program(where: Addresses, number: Mapping[str, str] | None = None) -> Program:
    """Return the program of the simulated outside world; its secrets stay off the command line.

    `number` is the simulated number at Meta, where the business has it: its secrets and its channel's id.
    """
    # Not PUBLIC_URL: behind a proxy that address may be unreachable from here.
    api = url_of(where.host, where.ports[Role.API])
    webhooks = f"{api}/webhook/whatsapp"
    cloud = dict(number or {})
    if cloud:
        cloud["webhook_url"] = f"{webhooks}/cloud/{cloud.pop('channel_id')}"
    return Program(
        name="simulator",
        argv=(
            *(sys.executable, "-m", "simulator", "--port", str(where.ports["simulator"])),
            *("--bridge-webhook-url", f"{webhooks}/incoming", "--bridge-secret-env", "SIM_BRIDGE_SECRET"),
            *("--bridge-status-url", f"{api}/api/internal/whatsapp/status-webhook"),
            *("--tenant", f"business_{DEMO_BUSINESS_ID}", "--parent-origin", where.public_url),
            *("--parent-origin", f"http://localhost:{where.ports[Role.API]}"),
            *("--cloud-env", "SIM_CLOUD"),
        ),
        env=_environment()
        | {"SIM_BRIDGE_SECRET": where.internal_secret, "SIM_CLOUD": json.dumps(cloud) if cloud else ""},
        stop_grace_s=1.0,
        ready=ready_at(where.ports["simulator"], "/healthz"),
    )


def shared_environment(where: Addresses) -> dict[str, str]:
    """Return the environment that the four roles have in common."""
    return (
        {"DRAIN_GRACE_S": _DRAIN_GRACE_S}
        | _simulated(where)
        | _environment()
        | {
            "HOST": where.host,
            "DATABASE_URL": where.database_url,
            "REDIS_URL": where.redis_url,
            "SECRET_KEY": where.secret_key,
            "PUBLIC_URL": where.public_url,
            "SIMULATOR_URL": where.simulator_url,
        }
    )


def _simulated(where: Addresses) -> dict[str, str]:
    """Point at the simulator, where there is one; an operator's own settings still win."""
    if not where.simulator_url:
        return {}
    return {
        "WHATSAPP_CLOUD_URL": f"{where.simulator_url}/cloud",
        "WHATSAPP_BRIDGE_URLS": where.simulator_url,
        # The simulated n8n is inside, as one of an operator's own would be.
        "WEBHOOKS_ALLOWED_HOSTS": urlsplit(where.simulator_url).netloc,
    }


def ready_at(port: int, path: str, *, host: str = "127.0.0.1") -> Callable[[], Awaitable[bool]]:
    """Return a question to ask: whether a GET of this path answers 200."""
    reached = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - compared, not bound
    request = f"GET {path} HTTP/1.1\r\nHost: {reached}:{port}\r\nConnection: close\r\n\r\n".encode()

    async def answers() -> bool:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                reader, writer = await asyncio.open_connection(reached, port)
                try:
                    writer.write(request)
                    status = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False
        return status.split(b" ")[1:2] == [b"200"]

    return answers


def _environment() -> dict[str, str]:
    # Lines must not wait in a child's buffer, and its current folder must not hide our modules.
    return dict(os.environ) | {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
