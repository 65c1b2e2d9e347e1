"""The jobs page in real browsers: bars alike everywhere, deeds by click, and text that stays text."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Page,
    StorageState,
    ViewportSize,
    async_playwright,
    expect,
)

from tests.engine import eventually
from tests.web.conftest import Shops
from tests.web.site import Site
from tests.web.work import effect_of, put_effect, put_job, put_pause, put_progress, state_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

BROADCAST = "broadcast_job-1-a"
HOSTILE = '<img src=x onerror="document.title=1">\u202e' + "verylong" * 30


@dataclass
class Windows:
    """Browsers of the shops' owners; what the browsers complained about."""

    browser: Browser
    site: Site
    links: dict[str, str]
    logins: dict[str, StorageState] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    async def open(self, width: int = 360, who: str = "dana", language: str = "en") -> Page:
        """Open the jobs page in a browser of its own."""
        viewport: ViewportSize = {"width": width, "height": 740}
        context = await self.browser.new_context(viewport=viewport, storage_state=self.logins.get(who))
        page = await context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)
        await page.clock.install()
        if who not in self.logins:
            await page.goto(f"{self.site.url}/enter/{self.links[who]}")
            self.logins[who] = await context.storage_state()
        await page.goto(f"{self.site.url}/jobs?lang={language}")
        return page

    def _hear(self, said: ConsoleMessage) -> None:
        # The phone's own address leads nowhere in these tests, and the browser says so.
        if said.type in {"error", "warning"} and "ERR_" not in said.text:
            self.complaints.append(said.text)


@pytest.fixture
async def windows(site: Site, shops: Shops) -> AsyncIterator[Windows]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield Windows(browser, site, shops.links)
        await browser.close()


async def test_a_bar_grows_alike_in_two_browsers_and_turns_stale_without_a_server(
    windows: Windows, site: Site, shops: Shops
) -> None:
    await put_job(shops.dana, BROADCAST, "running", kind="broadcast_job")
    await put_progress(shops.dana, BROADCAST, share=250, total=400, done=100, left=300)
    pages = [await windows.open(360), await windows.open(1280)]
    for page in pages:
        bar = page.get_by_role("progressbar", name="How far it is")
        await expect(bar).to_have_attribute("value", "250")
        await expect(bar).to_have_attribute("aria-valuetext", "100 of 400")

    await put_progress(shops.dana, BROADCAST, share=500, total=400, done=200, left=200)
    site.hints.tell(shops.dana.business_id)
    for page in pages:
        await expect(page.locator("progress:visible")).to_have_attribute("value", "500")
        await expect(page.get_by_text("200 of 400")).to_be_visible()
        await expect(page.locator("#running .stale-word")).to_be_hidden()

    await site.stop()
    await pages[0].locator("#offline").wait_for()
    await pages[0].clock.run_for(12_000)
    await expect(pages[0].locator("#running .stale-word")).to_be_visible()


async def test_a_bar_whose_job_falls_silent_turns_stale_and_comes_back(
    windows: Windows, site: Site, shops: Shops
) -> None:
    await put_job(shops.dana, BROADCAST, "running", kind="broadcast_job")
    await put_progress(shops.dana, BROADCAST, share=250, age_s=11, total=400, done=100, left=300)
    page = await windows.open()
    await expect(page.locator("#running .stale-word")).to_be_visible()

    await put_progress(shops.dana, BROADCAST, share=260, total=400, done=104, left=296)
    site.hints.tell(shops.dana.business_id)
    await expect(page.locator("#running .stale-word")).to_be_hidden()
    assert windows.complaints == []


async def test_an_owner_stops_a_job_and_settles_a_sending_by_click(
    windows: Windows, site: Site, shops: Shops
) -> None:
    await put_job(shops.dana, BROADCAST, "running", kind="broadcast_job")
    await put_effect(shops.dana, "reply:1", "unknown")
    page = await windows.open()
    await page.locator("#running").get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="Yes, cancel it").click()
    await expect(page.locator("#running .job-stopping")).to_have_text("It is being stopped.")
    await expect(page.locator("#running").get_by_role("button", name="Cancel")).to_be_hidden()

    await page.get_by_role("button", name="It was not received").click()
    await page.get_by_role("link", name="Back to the jobs").click()
    assert await effect_of(shops.dana, "reply:1") == "unknown"
    await page.get_by_role("button", name="It was not received").click()
    await page.get_by_role("button", name="Yes, I looked").click()
    await expect(page.get_by_text("Nothing is in doubt.")).to_be_visible()
    assert await effect_of(shops.dana, "reply:1") == "not_sent"
    assert await state_of(shops.dana, BROADCAST) == "running"
    assert windows.complaints == []


async def test_a_stranger_sees_nothing_of_it_while_it_changes(
    windows: Windows, site: Site, shops: Shops
) -> None:
    page = await windows.open(who="noa")
    await put_job(shops.dana, BROADCAST, "running", kind="broadcast_job")
    await put_progress(shops.dana, BROADCAST, share=250, total=400, done=100, left=300)
    await put_effect(shops.dana, "reply:1", "unknown")
    await put_pause(shops.dana, "business", str(shops.dana.business_id), "a secret of Dana's")
    await put_job(shops.noa, "webhook_process_job-2-own", "running")
    for business_id in (shops.dana.business_id, shops.noa.business_id):
        site.hints.tell(business_id)

    await expect(page.get_by_text("webhook_process_job-2-own")).to_be_visible()
    # The row of its own job, and that of the queue the job is in.
    await expect(page.locator(".job:visible")).to_have_count(2)
    for words in ("broadcast", "secret", "reply:1"):
        assert words not in await page.locator("main").inner_text()


@pytest.mark.parametrize("width", [320, 360, 1280])
@pytest.mark.parametrize("language", ["he", "en"])
async def test_hostile_and_endless_text_stays_text_and_inside_the_page(
    windows: Windows, site: Site, shops: Shops, language: str, width: int
) -> None:
    page = await windows.open(width, language=language)
    story = shops.dana
    conversation = await story.meet(HOSTILE)
    event_id = await story.arrives("W1")
    await story.writes(conversation, "price?", provider_id="W1", event_id=event_id)
    await put_job(story, "webhook_process_job-1-bad", "failed", HOSTILE, event_id=event_id)
    await put_job(story, "webhook_process_job-1-run", "running", HOSTILE, event_id=event_id)
    counts = {"total": 10**12, "done": 10**11, "left": 8 * 10**11, HOSTILE: 10**11}
    await put_progress(story, "webhook_process_job-1-run", share=999, **counts)
    await put_pause(story, "queue", "default", HOSTILE)
    site.hints.tell(story.business_id)
    await page.locator("#running .job:visible").first.wait_for()

    async def is_told() -> bool:
        return "<img src=x" in await page.locator("#ended").inner_text()

    await eventually(is_told)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "\u202e" not in await page.locator("main").inner_text()
    assert await page.title() != "1"
    assert await page.locator("main img").count() == 0
    assert windows.complaints == []
