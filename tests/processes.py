"""The four roles and the simulator as real processes, for tests that stop, kill and cut things off."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import psutil
from redis.asyncio import Redis

from server.providers.connections import IDLE_S
from server.queue.invariants import violations
from server.roles import Role
from server.stack.child import Child
from server.stack.demo import Demo, seed
from server.stack.postgres import Postgres
from server.stack.programs import Addresses, role_program, simulator_program
from server.stack.valkey import Valkey
from server.stack.waiting import until_ready
from tests.engine import eventually
from tests.ports import new_port
from tests.servers import throwaway_postgres, throwaway_valkey

SECRET = "the-demo-bridges-secret"
FIXTURES = Path(__file__).parent / "fixtures" / "whatsapp"
# So many calls the simulator lists at once.
OPEN_JOBS = """
SELECT jsonb_agg(to_jsonb(job) - 'payload' || jsonb_build_object('now', now())) FROM job
WHERE state IN ('ready', 'running') AND urgency = 0
"""
PAGE = 1000
# Short, so that a killed worker's jobs are taken over within a test's patience.
QUICK = {"JOB_LEASE_S": "2", "SCHEDULER_CYCLE_S": "0.2", "DRAIN_GRACE_S": "2", "SCHEDULER_LOCK_TTL_S": "3"}


class Installation:
    """Everything of one installation; `log` holds what the processes wrote.

    `instead` names modules that are started in a role's place.
    """

    def __init__(self, postgres: Postgres, server: Child, valkey: Valkey, folder: Path) -> None:
        names = [*(role.value for role in Role), "simulator"]
        ports = {name: new_port() for name in names}
        self.postgres = postgres
        self.valkey = valkey
        self._server = server
        self.addresses = Addresses(
            host="127.0.0.1",
            ports=ports,
            public_url=f"http://127.0.0.1:{ports['api']}",
            simulator_url=f"http://127.0.0.1:{ports['simulator']}",
            database_url=postgres.url("prosaas"),
            redis_url=valkey.url(),
            secret_key="k" * 40,
            internal_secret=SECRET,
        )
        self.log = folder / "log.txt"
        self.data_dir = folder / "data"
        self.running: dict[str, list[Child]] = {}
        self.ports: dict[str, list[int]] = {}
        self.instead: dict[str, str] = {}
        self.admin_link = ""
        self.http = httpx.AsyncClient(base_url=self.addresses.public_url, timeout=20)
        # The simulator closes idle connections after 5 s, as a bridge does.
        limits = httpx.Limits(keepalive_expiry=IDLE_S)
        self.simulator = httpx.AsyncClient(base_url=self.addresses.simulator_url, timeout=20, limits=limits)

    async def prepare(self) -> None:
        """Migrate, and make the demo business."""
        from server.db.migrate import upgrade

        where = self.addresses
        await self.postgres.ensure_database("prosaas")
        await upgrade(where.database_url)
        self.admin_link = await seed(
            Demo(
                database_url=where.database_url,
                secret_key=where.secret_key,
                public_url=where.public_url,
                simulator_url=where.simulator_url,
                bridge_secret=SECRET,
            )
        )

    async def start(self, *names: str, **environment: str) -> None:
        """Start processes by role name or `simulator`, and wait until they are ready.

        A second one of a name listens on a port of its own.
        """
        for name in names:
            where = self.addresses
            if self.running.get(name):
                where = replace(where, ports={**where.ports, name: new_port()})
            program = simulator_program(where) if name == "simulator" else role_program(Role(name), where)
            told = replace(program, env=dict(program.env) | QUICK | self._own() | environment)
            if name in self.instead:
                ours = {"PYTHONPATH": str(Path(__file__).parents[1])}
                argv = (sys.executable, "-m", self.instead[name])
                told = replace(told, argv=argv, env=dict(told.env) | ours)
            with self.log.open("ab") as output:
                child = Child.spawn(told, output=output.fileno())
            self.running.setdefault(name, []).append(child)
            self.ports.setdefault(name, []).append(where.ports[name])
            await until_ready(child, within_s=30)

    def _own(self) -> dict[str, str]:
        # A worker that is killed leaves its counters in the folder for what is temporary.
        temporary = self.data_dir.parent / "temporary"
        temporary.mkdir(exist_ok=True)
        return {"DATA_DIR": str(self.data_dir), "TMPDIR": str(temporary)}

    async def start_all(self, *names: str) -> None:
        """Start several processes side by side."""
        await asyncio.gather(*(self.start(name) for name in names))

    async def kill(self, name: str) -> None:
        """End the youngest process of this name at once, as a power cut would."""
        child = self.running[name].pop()
        child.kill()
        await child.wait()

    def send(self, name: str, number: signal.Signals) -> None:
        """Send the youngest process of this name a signal."""
        self.running[name][-1].send(number)

    def freeze(self, name: str) -> list[int]:
        """Stop the oldest program of this name with every process it has; return their pids."""
        leader = psutil.Process(self.running[name][0].pid)
        # The leader first: it would replace processes that fall silent.
        pids = [leader.pid, *(child.pid for child in leader.children(recursive=True))]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        return pids

    def thaw(self, pids: Sequence[int]) -> None:
        """Let processes go on that were frozen."""
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)

    async def stop(self, name: str) -> int:
        """Ask the youngest process of this name to end; return its exit code."""
        return await self.running[name].pop().stop(within_s=10)

    async def post(
        self, body: Any, *, secret: str = SECRET, path: str = "/webhook/whatsapp/incoming"
    ) -> httpx.Response:
        """Post a webhook as a bridge does."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post(
            path, content=content, headers={"X-Internal-Secret": secret, "Content-Type": "application/json"}
        )

    async def sends(self) -> list[dict[str, Any]]:
        """Return every message that the bridge was asked to send, in order."""
        calls: list[dict[str, Any]] = []
        is_more = True
        while is_more:
            wanted = {"provider": "whatsapp_bridge", "limit": PAGE, "after": calls[-1]["n"] if calls else 0}
            page = (await self.simulator.get("/sim/calls", params=wanted)).json()
            is_more = len(page) == PAGE
            calls += page
        return [call for call in calls if call["request"]["path"].endswith("/send")]

    async def until_sent(self, count: int, *, within_s: float = 30) -> list[dict[str, Any]]:
        """Wait until the bridge was asked to send that many messages; return them."""

        async def enough() -> bool:
            return len(await self.sends()) >= count

        await eventually(enough, within_s=within_s, what=f"{count} sends")
        return await self.sends()

    async def until_quiet(self, *, within_s: float = 40) -> None:
        """Wait until every job of a customer's message has ended."""

        async def quiet() -> bool:
            return not await self.value(
                "SELECT count(*) FROM job WHERE state IN ('ready', 'running') AND urgency = 0"
            )

        try:
            await eventually(quiet, within_s=within_s, what="every job's end")
        except AssertionError as error:
            raise AssertionError(f"{error}: {await self.value(OPEN_JOBS)}") from None

    async def value(self, query: str, *arguments: Any) -> Any:
        """Return one value, as the superuser sees it."""
        connection = await asyncpg.connect(self.addresses.database_url, timeout=5)
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    async def broken_promises(self) -> list[str]:
        """Return what the invariants find; without a simulator, what it saw is not compared."""
        where = self.addresses
        return await violations(
            where.database_url,
            simulator_url=where.simulator_url if self.running.get("simulator") else "",
            redis_url=where.redis_url,
            log_file=self.log if self.log.exists() else None,
        )

    async def behave(self, **how: Any) -> None:
        """Say how the bridge answers next; `provider` names another."""
        # What is to happen to a sending must not be used up by a mark that an answer is being written.
        told = {"provider": "whatsapp_bridge"} | how
        if told["provider"] == "whatsapp_bridge" and "times" in how:
            told.setdefault("path", "/send")
        answer = await self.simulator.post("/sim/behaviour", json=told)
        answer.raise_for_status()

    async def redis(self, *command: Any) -> Any:
        """Run one command in Redis."""
        async with Redis.from_url(self.addresses.redis_url) as client:
            return await client.execute_command(*command)

    async def crash_postgres(self) -> None:
        """Restart PostgreSQL in the middle of whatever it does, by its immediate shutdown."""
        self._server.send(signal.SIGQUIT)
        await self._server.wait()
        self._server = await self.postgres.start()

    def processes_of(self, name: str) -> list[int]:
        """Return the pids of the processes that the oldest program of this name has forked."""
        return [child.pid for child in psutil.Process(self.running[name][0].pid).children(recursive=True)]

    async def end(self) -> None:
        """End everything that still runs."""
        for children in self.running.values():
            for child in children:
                child.kill()
                await child.wait()
        await self.http.aclose()
        await self.simulator.aclose()


@asynccontextmanager
async def installation(sockets: Path, folder: Path) -> AsyncIterator[Installation]:
    """Own PostgreSQL and Valkey with a demo business, and nothing else running yet."""
    postgres, valkey = throwaway_postgres(sockets), throwaway_valkey(sockets)
    await valkey.start()
    found = Installation(postgres, await postgres.start(), valkey, folder)
    try:
        await found.prepare()
        yield found
    finally:
        await found.end()
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            await valkey.stop()
            await postgres.stop()


def text_message(text: str, *, phone: str = "972501234567", message_id: str | None = None) -> dict[str, Any]:
    """Return a bridge webhook with one text of a customer."""
    return {
        "tenantId": "business_6",
        "payload": {
            "type": "notify",
            "messages": [
                {
                    "key": {
                        "remoteJid": f"{phone}@s.whatsapp.net",
                        "fromMe": False,
                        "id": message_id or uuid4().hex[:20].upper(),
                    },
                    "messageTimestamp": 1770500000,
                    "pushName": "דנה",
                    "message": {"conversation": text},
                }
            ],
        },
    }


def sample(name: str) -> dict[str, Any]:
    """Return a recorded webhook by its file's name."""
    found: dict[str, Any] = json.loads((FIXTURES / "bridge" / name).read_text(encoding="utf-8"))
    return found


def is_alive(pid: int) -> bool:
    """Tell whether a process of this pid runs; one that ended and was not collected does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
