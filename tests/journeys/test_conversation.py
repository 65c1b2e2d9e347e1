"""A customer and the business in a real browser, on both channels: from the first question to the summary."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from playwright.async_api import Page, async_playwright, expect

from server.queue.invariants import violations
from tests.engine import eventually
from tests.journeys.test_first_message import CHROMIUM, QUESTION, Running, running

__all__ = ["running"]

HOURS = "עד מתי אתם פתוחים היום?"
BY_HAND = "דנה כאן, אני כבר מתקשרת אליך."
ANSWER = "250"
# Where each channel's customer stands in the phone's list.
CUSTOMERS = {"bridge": 0, "cloud": 1}
SUMMARIES = """
SELECT count(*) FILTER (WHERE summary <> '') FROM conversation_session GROUP BY conversation_id ORDER BY 1
"""
ANSWERED_WITHIN_MS = 30_000


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
async def test_a_conversation_from_the_first_question_to_its_second_summary(running: Running) -> None:
    ready = await running.ready()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        inbox = await browser.new_page(viewport={"width": 1280, "height": 900})
        await inbox.goto(ready["admin_link"])
        for channel in CUSTOMERS:
            phone = await browser.new_page(viewport={"width": 390, "height": 844})
            await talk(phone, inbox, ready, channel)
        await browser.close()
    assert await summaries(ready) == [1, 1]
    await write_again(ready)
    assert await summaries(ready) == [2, 2]
    assert await violations(ready["database_url"], simulator_url=ready["simulator_url"]) == []


async def talk(phone: Page, inbox: Page, ready: dict[str, Any], channel: str) -> None:
    """Ask, be answered, be taken over, be left to a person, and be answered again."""
    answers = await open_phone(phone, ready, channel)
    await say(phone, QUESTION)
    await expect(answers).to_contain_text([ANSWER], timeout=ANSWERED_WITHIN_MS)

    await open_conversation(inbox, ready)
    await inbox.fill("#compose-text", BY_HAND)
    await inbox.click("#compose-send")
    await expect(answers).to_have_count(2, timeout=ANSWERED_WITHIN_MS)
    await expect(answers.last).to_contain_text(BY_HAND)

    await say(phone, "תודה, וכמה עולה החלפת צילינדר?")
    await expect(inbox.get_by_text("וכמה עולה החלפת צילינדר?").last).to_be_visible(timeout=ANSWERED_WITHIN_MS)
    await eventually(lambda: is_quiet(ready), within_s=30, what="every job done")
    await expect(answers).to_have_count(2)

    await inbox.locator("form.resume button").click()
    await expect(inbox.locator("form.resume button")).to_be_hidden(timeout=ANSWERED_WITHIN_MS)
    await say(phone, HOURS)
    await expect(answers).to_have_count(3, timeout=ANSWERED_WITHIN_MS)


async def open_phone(phone: Page, ready: dict[str, Any], channel: str) -> Any:
    """Open the customer's phone; returns the bubbles of what the business sent."""
    await phone.goto(f"{ready['simulator_url']}/phone?lang=he&channel={channel}")
    await phone.locator("#identity").select_option(index=CUSTOMERS[channel])
    await expect(phone.locator("#presence")).to_have_text("זמין")
    return phone.locator(".bubble.received")


async def say(phone: Page, text: str) -> None:
    await phone.fill("#text", text)
    await phone.press("#text", "Enter")
    await expect(phone.locator(".bubble.sent").last).to_contain_text(text)


async def open_conversation(inbox: Page, ready: dict[str, Any]) -> None:
    """Open the conversation that was written in last."""
    newest = await fetch(
        ready, "SELECT id::text FROM conversation ORDER BY last_message_at DESC NULLS LAST, id LIMIT 1"
    )
    await inbox.goto(f"{ready['url']}/inbox/{newest[0]['id']}?lang=he")


async def is_quiet(ready: dict[str, Any]) -> bool:
    [row] = await fetch(
        ready, "SELECT count(*) FROM job WHERE state IN ('ready', 'running') AND due_at <= now()"
    )
    return bool(row["count"] == 0)


async def write_again(ready: dict[str, Any]) -> None:
    """Let both customers come back some days later."""
    for channel, phone in (("bridge", "972501234567"), ("cloud", "972527654321")):
        body = {"channel": channel, "from": phone, "text": HOURS}
        async with httpx.AsyncClient(timeout=20) as client:
            await client.post(f"{ready['simulator_url']}/sim/phone/send", json=body)
    await eventually(lambda: has_open_sessions(ready, 2), within_s=30, what="a second session each")
    await eventually(lambda: is_quiet(ready), within_s=30, what="every job done")


async def has_open_sessions(ready: dict[str, Any], count: int) -> bool:
    [row] = await fetch(ready, "SELECT count(*) FROM conversation_session WHERE closed_at IS NULL")
    return bool(row["count"] == count)


async def summaries(ready: dict[str, Any]) -> list[int]:
    """Let days go by, have the sessions cleaned up, and count each conversation's summaries."""
    await fetch(
        ready, "UPDATE conversation_session SET last_activity_at = now() - interval '3 days' RETURNING 1"
    )
    environ = os.environ | {"DATABASE_URL": ready["database_url"], "REDIS_URL": ready["redis_url"]}
    prosaas = Path(sys.executable).with_name("prosaas")
    asked = await asyncio.create_subprocess_exec(
        prosaas, "schedule", "run", "whatsapp_sessions_cleanup_job", env=environ
    )
    assert await asked.wait() == 0
    await eventually(lambda: has_open_sessions(ready, 0), within_s=30, what="every session closed")
    return [row["count"] for row in await fetch(ready, SUMMARIES)]


async def fetch(ready: dict[str, Any], query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(ready["database_url"])
    try:
        rows: list[asyncpg.Record] = await connection.fetch(query)
    finally:
        await connection.close()
    return rows
