"""The whole product as a newcomer meets it: `./run`, a customer's first message, its answer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from playwright.async_api import async_playwright

from tests.engine import eventually
from tests.processes import is_alive, sample, text_message

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SECRET = "a-secret-of-the-journey"
QUESTION = "שלום, כמה עולה פריצת דלת?"


class Running:
    """One `./run`, with what it said on standard output."""

    def __init__(self, data: Path, port: int) -> None:
        environ = {
            name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}
        }
        self.said = data / "stdout.txt"
        self.log = data / "log.txt"
        with self.said.open("wb") as out, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [ROOT / "run"],
                env=environ | {"PORT": str(port), "DATA_DIR": str(data / "kept"), "INTERNAL_SECRET": SECRET},
                stdout=out,
                stderr=log,
            )

    async def ready(self) -> Any:
        def answered() -> bool:
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")[-2000:]
            return "\nREADY {" in "\n" + self.said.read_text()

        await eventually(answered, within_s=90, what="READY")
        [line] = [line for line in self.said.read_text().splitlines() if line.startswith("READY ")]
        return json.loads(line.removeprefix("READY "))

    async def ended(self, *, within_s: float) -> int:
        await eventually(lambda: self.process.poll() is not None, within_s=within_s, what="the end of ./run")
        return self.process.wait()


@pytest.fixture
async def running(tmp_path, free_port):
    run = Running(tmp_path, free_port)
    yield run
    if run.process.poll() is None:
        run.process.send_signal(signal.SIGINT)
        await run.ended(within_s=20)


async def post(ready, body):
    async with httpx.AsyncClient(timeout=20) as client:
        return await client.post(
            f"{ready['url']}/webhook/whatsapp/incoming", json=body, headers={"X-Internal-Secret": SECRET}
        )


async def sends(ready):
    async with httpx.AsyncClient(timeout=20) as client:
        calls = await client.get(
            f"{ready['simulator_url']}/sim/calls", params={"provider": "whatsapp_bridge"}
        )
        return [call for call in calls.json() if call["request"]["path"].endswith("/send")]


async def test_a_first_message_is_answered_stored_and_shown(running):
    ready = await running.ready()

    answer = await post(ready, sample("text.json"))
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "stored": 1})

    async def answered():
        return len(await sends(ready)) == 1

    await eventually(answered, within_s=30)
    [call] = await sends(ready)
    reply = call["request"]["body"]["text"]
    assert "250" in reply
    await eventually(lambda: delivered(ready), within_s=20)
    assert await stored(ready) == [("in", QUESTION), ("out", reply)]
    if CHROMIUM:
        await see_in_browser(ready, reply)
    assert "Enqueued webhook_process_job" in running.log.read_text(encoding="utf-8")
    assert QUESTION not in running.log.read_text(encoding="utf-8")
    assert "972501234567" not in running.log.read_text(encoding="utf-8")


async def delivered(ready):
    connection = await asyncpg.connect(ready["database_url"])
    try:
        return await connection.fetchval("SELECT status = 'delivered' FROM message WHERE direction = 'out'")
    finally:
        await connection.close()


async def stored(ready):
    connection = await asyncpg.connect(ready["database_url"])
    try:
        rows = await connection.fetch("SELECT direction, text FROM message ORDER BY position")
        return [tuple(row) for row in rows]
    finally:
        await connection.close()


async def see_in_browser(ready, reply):
    """Open the admin link: the demo page shows the answer in the inbox, and answers the phone live."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        await page.goto(ready["admin_link"])
        first_line = reply.splitlines()[0]
        await page.get_by_text(first_line).first.wait_for(timeout=15_000)

        live = page.frame_locator("iframe").get_by_text(first_line)
        async with httpx.AsyncClient(timeout=20) as client:
            await client.post(
                f"{ready['simulator_url']}/sim/phone/send",
                json={"from": "972501234567", "name": "דנה", "kind": "text", "text": QUESTION},
            )
        await live.first.wait_for(timeout=20_000)
        await browser.close()


async def test_ctrl_c_ends_everything_within_ten_seconds_and_the_data_is_kept(tmp_path, free_port):
    first = Running(tmp_path, free_port)
    ready = await first.ready()
    await post(ready, text_message(QUESTION))
    await eventually(lambda: kept_messages(ready), within_s=30)
    pids = [pid for group in ready["pids"].values() for pid in group]

    started = time.monotonic()
    first.process.send_signal(signal.SIGINT)
    await first.ended(within_s=15)

    assert time.monotonic() - started < 10
    assert not [pid for pid in pids if is_alive(pid)]
    again = Running(tmp_path, free_port)
    assert await kept_messages(await again.ready())
    again.process.send_signal(signal.SIGINT)
    await again.ended(within_s=15)


async def kept_messages(ready):
    return ("in", QUESTION) in await stored(ready)


async def test_killing_the_supervisor_leaves_no_orphan(running):
    ready = await running.ready()
    pids = [pid for group in ready["pids"].values() for pid in group]

    os.kill(ready["pids"]["supervisor"][0], signal.SIGKILL)

    await eventually(lambda: not [pid for pid in pids if is_alive(pid)], within_s=15, what="no orphan")
