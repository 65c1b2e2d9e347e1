import asyncio
import os
import sys

import httpx

COMMAND = ["-m", "simulator", "--bridge-webhook-url", "http://127.0.0.1:9/hook", "--tenant", "business_6"]


async def start(*arguments: str, secret: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *COMMAND,
        "--bridge-secret-env",
        "SIMULATED_SECRET",
        *arguments,
        env={**os.environ, "SIMULATED_SECRET": secret},
        stderr=asyncio.subprocess.PIPE,
    )


async def lives(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).is_success
    except httpx.TransportError:
        return False


async def test_a_missing_secret_is_named():
    process = await start("--port", "1", secret="")
    _, complaint = await process.communicate()
    assert process.returncode == 2
    assert b"set SIMULATED_SECRET to the bridge's secret" in complaint


async def test_sigterm_ends_well_while_a_page_listens_and_no_words_reach_the_log(free_port):
    process = await start("--port", str(free_port), "--log-format", "json", secret="s")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{free_port}", trust_env=False) as client:
        async with asyncio.timeout(10):
            while not await lives(client):
                await asyncio.sleep(0.05)
        written = {"from": "972501234567", "kind": "text", "text": "private words"}
        await client.post("/sim/phone/send", json=written)
        async with client.stream("GET", "/sim/phone/events") as events:
            process.terminate()
            assert await anext(events.aiter_lines()) == ": open"
            _, log = await asyncio.wait_for(process.communicate(), 5)
    assert process.returncode == 0
    assert b"/sim/phone/send" in log
    assert b"private words" not in log
    assert b"972501234567" not in log
