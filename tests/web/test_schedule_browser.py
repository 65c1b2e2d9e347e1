"""The schedule page in a real browser: it follows what happens, deeds by click, text inside the page."""

from __future__ import annotations

import pytest
from playwright.async_api import expect
from redis.asyncio import Redis

from server.queue import schedules
from tests.web.conftest import Shops
from tests.web.site import Site
from tests.web.test_jobs_browser import CHROMIUM, HOSTILE, Windows, windows
from tests.web.timetable import keep, put_slot, register, runs

__all__ = ["windows"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


async def test_an_owner_runs_and_pauses_by_click_and_the_page_follows_the_scheduler(
    windows: Windows, site: Site, shops: Shops, redis: Redis
) -> None:
    name = await keep(site, shops.dana)
    page = await windows.open(390)
    await page.goto(f"{site.url}/schedule?lang=en")
    await expect(page.get_by_text("No scheduler is at work.")).to_be_visible()
    await redis.set(schedules.LOCK_KEY, "host-7:4711:secret")
    await put_slot(shops.dana, name, "skipped", reason="a later slot stands for it")
    await expect(page.get_by_text("host-7:4711")).to_be_visible(timeout=15_000)
    await expect(page.get_by_text("No scheduler is at work.")).to_be_hidden()
    await page.get_by_text("Which were skipped, and why").click()
    await expect(page.get_by_text("A later one ran in its place.")).to_be_visible()

    await page.get_by_role("button", name="Run now").click()
    await page.get_by_role("button", name="Yes, run it now").click()
    await expect(page.get_by_text("It was asked to run.")).to_be_visible()
    assert await runs(shops.dana, name) == 1

    await page.get_by_role("button", name="Pause").click()
    await page.get_by_label("Why?").fill("moving house")
    await page.get_by_role("button", name="Yes, pause it").click()
    await expect(page.locator("#own .flag")).to_contain_text("Paused by dana")
    await expect(page.locator("#own").get_by_text("moving house")).to_be_visible()
    await expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    await page.get_by_role("button", name="Resume").click()
    await page.get_by_role("button", name="Yes, resume it").click()
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert windows.complaints == []


async def test_hostile_and_endless_text_stays_inside_the_page_at_any_width(
    windows: Windows, site: Site, shops: Shops, clean_database: str
) -> None:
    await register(clean_database)
    name = await keep(site, shops.dana, HOSTILE[:200], zone="America/Argentina/ComodRivadavia")
    await put_slot(shops.dana, name, "skipped", reason=HOSTILE)
    await shops.dana.connection.execute(
        "UPDATE schedule SET trouble = $2, paused_at = now(), paused_by = $2, pause_reason = $2"
        " WHERE name = $1",
        *(name, HOSTILE),
    )
    page = await windows.open()
    for language in ("he", "en"):
        await page.goto(f"{site.url}/schedule?lang={language}")
        await page.locator("#own summary").click()
        for width in (320, 390, 800, 1280):
            await page.set_viewport_size({"width": width, "height": 740})
            assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
        assert "<img src=x" in await page.locator("#own").inner_text()
        assert "\u202e" not in await page.locator("main").inner_text()
    assert await page.title() != "1"
    assert windows.complaints == []
