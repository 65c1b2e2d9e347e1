"""An owner finds failed work on the jobs page and runs it again, with everything really running."""

from __future__ import annotations

import asyncpg
import pytest
from playwright.async_api import async_playwright, expect

from tests.engine import eventually
from tests.journeys.test_first_message import CHROMIUM, Running, delivered, post, running, sends
from tests.processes import sample

__all__ = ["running"]

FAILED = "SELECT id FROM job WHERE business_id IS NOT NULL AND state = 'failed' ORDER BY id"
HELD = """
SELECT DISTINCT job.id FROM job JOIN effect ON effect.job_id = job.id
WHERE job.state = 'failed' AND effect.state IN ('sent', 'confirmed') ORDER BY job.id
"""


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
async def test_failed_work_runs_again_from_the_page_and_nothing_is_sent_twice(running: Running) -> None:
    ready = await running.ready()
    assert (await post(ready, sample("text.json"))).status_code == 200
    await eventually(lambda: delivered(ready), within_s=40)
    connection = await asyncpg.connect(ready["database_url"])

    # Its message was answered; the receipts that came after it sent nothing.
    async def all_are_done() -> bool:
        return bool(await connection.fetchval("SELECT bool_and(state = 'done') AND count(*) > 1 FROM job"))

    await eventually(all_are_done, within_s=20)
    await connection.execute("UPDATE job SET state = 'failed', reason = 'KeyError' WHERE state = 'done'")
    failed = {row["id"] for row in await connection.fetch(FAILED)}
    # The answered message, and what other programs were told of it.
    held = {row["id"] for row in await connection.fetch(HELD)}
    assert any(one.startswith("webhook_process_job") for one in held)
    await run_all_again(ready, len(failed), len(held))

    async def only_what_was_sent_is_left() -> bool:
        return {row["id"] for row in await connection.fetch(FAILED)} == held

    await eventually(only_what_was_sent_is_left, within_s=20)
    assert len(await sends(ready)) == 1
    await connection.close()


async def run_all_again(ready: dict[str, str], count: int, held: int) -> None:
    """Click through the page as its owner does: what was sent is held back."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        page = await browser.new_page(viewport={"width": 390, "height": 844})
        await page.goto(ready["admin_link"])
        await page.goto(f"{ready['url']}/jobs?lang=en")
        assert await page.locator("#ended .job").count() == count
        await page.click("button[value=all]")
        await page.get_by_text(f"To run again: {count - held}.").wait_for()
        await page.get_by_text(f"may have been: {held}.").wait_for()
        await page.click("button[name=sure]")
        await page.get_by_text(f"Running again: {count - held}.").wait_for()
        # The list empties by itself but for what is held back.
        await page.locator("[data-part=waiting][data-amount=none]").wait_for(timeout=20_000)
        await expect(page.locator("#ended .flag").get_by_text("Not run again")).to_have_count(held)
        await expect(page.locator("#ended .job")).to_have_count(held)
        await browser.close()
