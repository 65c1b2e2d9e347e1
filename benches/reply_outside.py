"""What the bench of replies runs beside the stores: the simulated world, an api and one worker process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import psutil

from benches.jobs_house import BUSINESS, PYTHON, House
from server.db.tenancy import credential_digest
from server.secrets import Cipher
from server.stack.demo_knowledge import ENGLISH
from server.stack.sockets import any_free_port

MODEL_S = 2.0
SECRET = "bench-secret"
SECRET_KEY = "k" * 40
PAGE = 1000
WATCH_S = 0.02
# The simulator notes when each call came: looking seldom takes nothing from what is measured.
LOOK_S = 0.25
OPEN = "SELECT count(*) FROM job WHERE state IN ('ready', 'running')"
CHANNEL = """
INSERT INTO channel (business_id, kind, base_url, tenant, secret_encrypted, token_digest)
VALUES ($1, 'whatsapp_bridge', $2, $3, $4, $5)
"""
# A model answers at once where nobody waits for a second line.
HURRIES = "INSERT INTO business_assistant (business_id, quiet_s) VALUES ($1, 0)"
KNOWN = "INSERT INTO knowledge_entry (business_id, title, body, language) VALUES ($1, $2, $3, 'en')"


@dataclass(frozen=True)
class Answer:
    """One message that reached the simulated bridge: which call it was, and when."""

    number: int
    at: datetime


class World:
    """The outside as the bench uses it; times are the machine's, of one clock."""

    def __init__(self, house: House, http: httpx.AsyncClient, *, api: str, simulator: str) -> None:
        self._house = house
        self._http = http
        self._api = api
        self._simulator = simulator

    async def write(self, customers: int, *, group: int) -> datetime:
        """Let new customers write one message each, in one webhook; return when it was posted."""
        messages = [_message(f"{group:02}{number:06}") for number in range(customers)]
        body = json.dumps({"tenantId": f"business_{BUSINESS}", "payload": {"messages": messages}})
        at = datetime.now(UTC)
        answer = await self._http.post(
            f"{self._api}/webhook/whatsapp/incoming", content=body, headers={"X-Internal-Secret": SECRET}
        )
        answer.raise_for_status()
        return at

    async def answers(self, *, after: int) -> tuple[list[Answer], int]:
        """Return what was sent to customers since a call, in order, and the number of the last call."""
        wanted = {"provider": "whatsapp_bridge", "after": after, "limit": PAGE}
        calls = (await self._http.get(f"{self._simulator}/sim/calls", params=wanted)).json()
        sends = [call for call in calls if call["request"]["path"].endswith("/send")]
        found = [Answer(call["n"], datetime.fromisoformat(call["at"])) for call in sends]
        return found, calls[-1]["n"] if calls else after

    async def until_answered(self, customers: int, *, after: int, within_s: float) -> list[Answer]:
        """Wait until so many messages were sent since a call; return them."""
        found: list[Answer] = []
        seen = after

        async def enough() -> bool:
            nonlocal seen
            new, seen = await self.answers(after=seen)
            found.extend(new)
            return len(found) >= customers

        await self._house.until(enough, within_s=within_s, every_s=LOOK_S)
        return found

    async def until_quiet(self) -> None:
        """Wait until no job is left: echoes and receipts are taken in too."""

        async def quiet() -> bool:
            return not await self._house.look.fetchval(OPEN)

        await self._house.until(quiet, within_s=60)

    async def forget(self) -> None:
        """Let the simulated world start anew, with a model as slow as before."""
        (await self._http.post(f"{self._simulator}/sim/reset")).raise_for_status()
        slow = {"provider": "openai", "times": 1_000_000, "delay_ms": int(MODEL_S * 1000)}
        (await self._http.post(f"{self._simulator}/sim/behaviour", json=slow)).raise_for_status()

    async def start_worker(self, stack: ExitStack) -> psutil.Process:
        """Start a worker with one process, ended with the stack; return that process."""
        env = self._house.ours(
            WORKER_PROCESSES="1", OPENAI_BASE_URL=f"{self._simulator}/openai/v1", OPENAI_API_KEY="bench"
        )
        # As many at once as a worker takes by itself.
        del env["WORKER_CONCURRENCY"]
        [pid] = stack.enter_context(self._house.running([PYTHON, "-m", "server.worker"], env=env))
        await self._house.until(lambda: bool(_forks(pid)), within_s=30)
        return _forks(pid)[0]


def _forks(pid: int) -> list[psutil.Process]:
    """Return a supervisor's worker processes; a program that it starts in passing is none."""
    supervisor = psutil.Process(pid)
    return [child for child in supervisor.children() if child.cmdline() == supervisor.cmdline()]


@asynccontextmanager
async def open_world(house: House) -> AsyncIterator[World]:
    """Start the simulated world and an api, with a business that knows something and waits for nobody."""
    ports = {name: any_free_port() for name in ("api", "simulator")}
    api, simulator = (f"http://127.0.0.1:{ports[name]}" for name in ("api", "simulator"))
    await _prepare(house, simulator)
    command = [PYTHON, "-m", "simulator", "--port", str(ports["simulator"])]
    command += ["--bridge-webhook-url", f"{api}/webhook/whatsapp/incoming"]
    command += ["--bridge-secret-env", "SIM_SECRET", "--tenant", f"business_{BUSINESS}"]
    with ExitStack() as stack:
        stack.enter_context(house.running(command, env=house.environ(SIM_SECRET=SECRET)))
        stack.enter_context(
            house.running([PYTHON, "-m", "server"], env=house.ours("api", PORT=str(ports["api"])))
        )
        async with httpx.AsyncClient(timeout=30) as http:
            await asyncio.gather(_until_up(house, http, api), _until_up(house, http, simulator))
            yield World(house, http, api=api, simulator=simulator)


async def _prepare(house: House, simulator: str) -> None:
    sealed = Cipher(SECRET_KEY).encrypt(SECRET)
    told = (BUSINESS, f"{simulator}/bridge", f"business_{BUSINESS}", sealed, credential_digest(SECRET))
    await house.look.execute(CHANNEL, *told)
    await house.look.execute(HURRIES, BUSINESS)
    await house.look.executemany(KNOWN, [(BUSINESS, *entry) for entry in ENGLISH])


async def _until_up(house: House, http: httpx.AsyncClient, url: str) -> None:
    async def up() -> bool:
        try:
            return (await http.get(f"{url}/healthz")).is_success
        except httpx.TransportError:
            return False

    await house.until(up, within_s=30)


def _message(digits: str) -> dict[str, Any]:
    return {
        "key": {"remoteJid": f"9725{digits}@s.whatsapp.net", "fromMe": False, "id": f"BENCH{digits}"},
        "messageTimestamp": int(datetime.now(UTC).timestamp()),
        "pushName": "Dana",
        "message": {"conversation": "How much does it cost to open a locked door?"},
    }


async def watch_memory(process: psutil.Process) -> int:
    """Return the most bytes that a process was seen to hold, once this is cancelled."""
    most = 0
    try:
        while True:
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(WATCH_S)
    except asyncio.CancelledError:
        return most
