"""The api and the scheduler start no thread; a hook in the real process writes down any that starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from server.db.tenancy import credential_digest
from server.roles import Role
from tests.architecture.starting import SECRET, addresses, started
from tests.engine import eventually

HOOK = str(Path(__file__).parent / "threadwatch")
WEBHOOK = {
    "tenantId": "business_6",
    "payload": {
        "type": "notify",
        "messages": [
            {
                "key": {"remoteJid": "972501234567@s.whatsapp.net", "fromMe": False, "id": "3EB0THREADS"},
                "messageTimestamp": 1770500000,
                "message": {"conversation": "שלום"},
            }
        ],
    },
}
IN_A_POOL = "import asyncio; asyncio.run(asyncio.to_thread(print))"
BY_ITSELF = "import threading; thread = threading.Thread(target=print); thread.start(); thread.join()"
BARE = """
import _thread
lock = _thread.allocate_lock()
lock.acquire()
_thread.start_new_thread(lock.release, ())
lock.acquire()
"""


@pytest.fixture
def seen(tmp_path):
    return tmp_path / "threads.txt"


@pytest.fixture
def watch(seen):
    return {"PYTHONPATH": HOOK, "THREADS_SEEN": str(seen)}


@pytest.fixture
async def bridge(clean_database):
    """Business 6 with a bridge that knows SECRET."""
    connection = await asyncpg.connect(clean_database)
    await connection.execute("INSERT INTO business (id, name) VALUES (6, 'Dana')")
    await connection.execute(
        "INSERT INTO channel (business_id, kind, base_url, tenant, secret_encrypted, token_digest)"
        " VALUES (6, 'whatsapp_bridge', 'http://127.0.0.1:1', 'business_6', 'none', $1)",
        credential_digest(SECRET),
    )
    yield connection
    await connection.close()


@pytest.mark.parametrize("program", [IN_A_POOL, BY_ITSELF, BARE])
def test_the_hook_sees_a_thread(seen, watch, program):
    subprocess.run([sys.executable, "-c", program], env=os.environ | watch, timeout=20, check=True)

    assert "<string>" in seen.read_text(encoding="utf-8")


async def test_the_api_starts_no_thread(bridge, clean_database, redis_url, free_port, tmp_path, seen, watch):
    where = addresses(clean_database, redis_url, free_port)
    async with started(Role.API, where, tmp_path, **watch) as api:
        for path in ("/healthz", "/readyz", "/metrics", "/login", "/", "/static/nothing", "/nowhere"):
            await api.http.get(path)
        page = await api.http.get("/login")
        stored = await api.http.post(
            "/webhook/whatsapp/incoming", json=WEBHOOK, headers={"X-Internal-Secret": SECRET}
        )
        await api.http.post("/login", data={"email": "dana@example.com", "password": "wrong"})

    assert page.status_code == 200
    assert stored.status_code == 200
    assert not seen.exists(), seen.read_text(encoding="utf-8")


async def test_the_scheduler_starts_no_thread(
    bridge, clean_database, redis_url, free_port, tmp_path, seen, watch
):
    async def cycled():
        return await bridge.fetchval("SELECT count(*) FROM schedule") > 0

    where = addresses(clean_database, redis_url, free_port)
    async with started(Role.SCHEDULER, where, tmp_path, SCHEDULER_CYCLE_S="0.1", **watch) as scheduler:
        await eventually(cycled)
        for path in ("/healthz", "/readyz", "/metrics"):
            await scheduler.http.get(path)

    assert not seen.exists(), seen.read_text(encoding="utf-8")
