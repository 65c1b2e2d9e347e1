"""An owner looks what runs when and runs it now, with everything really running."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, async_playwright, expect

from server.db import Database
from server.queue import schedules
from server.queue.catalog import WhatsappSessionsCleanup
from server.queue.schedules import Actor
from server.queue.slots import Plan
from tests.journeys.test_first_message import CHROMIUM, Running, running

__all__ = ["running"]


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
async def test_an_owner_runs_a_schedule_now_and_sees_it_done(running: Running) -> None:
    ready = await running.ready()
    await keep(ready["database_url"], ready["demo_business_id"])
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        page = await browser.new_page(viewport={"width": 390, "height": 844})
        await page.goto(ready["admin_link"])
        await page.goto(f"{ready['url']}/schedule?lang=en")
        await expect(page.get_by_text("A scheduler is at work:")).to_be_visible()
        await expect(page.locator("#keeper code")).to_contain_text(f":{ready['pids']['scheduler'][0]}")
        await expect(page.locator("#house").get_by_text("Every 5 minutes")).to_be_visible()
        await run_now(page)
        await browser.close()


async def run_now(page: Page) -> None:
    """Click through the page as its owner does; its job is done while they look."""
    await page.locator("#own").get_by_role("button", name="Run now").click()
    await page.get_by_role("button", name="Yes, run it now").click()
    await expect(page.get_by_text("It was asked to run.")).to_be_visible()
    await expect(page.locator("#own .how")).to_have_text("done", timeout=20_000)


async def keep(database_url: str, business_id: int) -> None:
    """Make a schedule for the business."""
    database = Database(database_url, role="prosaas_api")
    async with database.driver_transaction(business_id) as connection:
        await schedules.keep(
            connection,
            WhatsappSessionsCleanup,
            {},
            Plan("0 8 1 1 *", "Asia/Jerusalem"),
            business_id=business_id,
            key="offer",
            label="Yearly offer",
            by=Actor("root", "a test"),
        )
    await database.aclose()
