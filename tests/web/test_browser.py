"""The pages in a real browser, under their own strict policy."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Page, async_playwright

from tests.web.conftest import Shops
from tests.web.site import Site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@dataclass
class Window:
    page: Page
    complaints: list[str] = field(default_factory=list)

    async def shows(self, selector: str, text: str) -> bool:
        """Wait until an element of the page says this."""
        return await until(lambda: self._says(selector, text))

    async def _says(self, selector: str, text: str) -> bool:
        said = await self.page.locator(selector).all_inner_texts()
        return any(text in one for one in said)


@pytest.fixture
async def window(site: Site, shops: Shops) -> AsyncIterator[Window]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        page = await browser.new_page(viewport={"width": 360, "height": 740})
        opened = Window(page)
        # The phone's own address leads nowhere in these tests, and the browser says so.
        page.on(
            "console",
            lambda said: (
                opened.complaints.append(said.text)
                if said.type in {"error", "warning"} and "ERR_" not in said.text
                else None
            ),
        )
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        await page.goto(f"{site.url}/enter/{shops.links['dana']}")
        yield opened
        await browser.close()


@pytest.mark.parametrize("language", ["he", "en"])
async def test_on_a_phone_every_place_of_the_bar_is_in_sight(
    window: Window, site: Site, language: str
) -> None:
    await window.page.goto(f"{site.url}/settings?lang={language}")

    boxes = [await place.bounding_box() for place in await window.page.locator(".places a").all()]

    assert len(boxes) == 6
    assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= 360 for box in boxes), boxes
    assert await window.page.evaluate("document.querySelector('.places').scrollWidth") <= 360


async def test_a_message_and_its_answer_appear_by_themselves(
    window: Window, site: Site, shops: Shops
) -> None:
    story = shops.dana
    await window.page.goto(f"{site.url}/demo?lang=en")
    conversation = await story.meet("Yossi")
    event_id = await story.arrives("W1")
    question = await story.writes(conversation, "<b>price?</b>", provider_id="W1", event_id=event_id)
    site.hints.tell(story.business_id)
    assert await window.shows(".bubble .words", "<b>price?</b>")
    answer = await story.says(
        conversation, "From 180.", answers=question, sources=["Price list"], effect_key="r", status="sent"
    )
    await story.effect("r", "sent")
    site.hints.tell(story.business_id)
    assert await window.shows(".bubble[data-author=assistant] .sources", "Price list")
    await story.status(answer, "delivered")
    site.hints.tell(story.business_id)
    assert await window.shows("#caption", "Delivered")
    assert window.complaints == []


@pytest.mark.parametrize(("language", "direction"), [("he", "rtl"), ("en", "ltr")])
async def test_nothing_sticks_out_sideways_at_any_width(
    window: Window, site: Site, shops: Shops, language: str, direction: str
) -> None:
    conversation = await shops.dana.meet("A name without an end " * 8)
    await shops.dana.writes(conversation, "Donaudampfschiffahrt" * 20)
    for path in ("/demo", f"/inbox/{conversation}", "/jobs", "/schedule"):
        await window.page.goto(f"{site.url}{path}?lang={language}")
        for width in (320, 360, 800, 1280):
            await window.page.set_viewport_size({"width": width, "height": 700})
            page = await window.page.evaluate(
                "({ over: document.documentElement.scrollWidth - innerWidth,"
                " dir: document.documentElement.dir })"
            )
            assert (path, width, page) == (path, width, {"over": 0, "dir": direction})
    assert window.complaints == []


async def test_a_long_conversation_scrolls_in_its_own_frame(window: Window, site: Site, shops: Shops) -> None:
    conversation = await shops.dana.meet("Yossi")
    for number in range(30):
        await shops.dana.says(conversation, f"answer {number}")
    await window.page.goto(f"{site.url}/inbox/{conversation}")
    page = await window.page.evaluate(
        "({ over: document.documentElement.scrollHeight - innerHeight,"
        " top: document.getElementById('scroll').scrollTop })"
    )
    assert page["over"] <= 0
    assert page["top"] > 0


async def test_the_inbox_returns_to_the_log_in_page_when_the_session_ends(
    window: Window, site: Site, shops: Shops
) -> None:
    await window.page.goto(f"{site.url}/inbox?lang=en")
    await shops.dana.connection.execute("DELETE FROM login_session")
    site.hints.tell(shops.dana.business_id)
    assert await until(lambda: _is_at(window.page, "/login"))


async def test_the_jobs_page_follows_its_lists_and_what_is_ticked_stays_ticked(
    window: Window, site: Site, shops: Shops
) -> None:
    story = shops.dana
    for name in "ab":
        await story.connection.execute(
            "INSERT INTO job (id, business_id, kind, queue, urgency, state, reason, finished_at)"
            " VALUES ($1, $2, 'webhook_process_job', 'default', 0, 'failed', 'KeyError', now())",
            *(f"webhook_process_job-1-{name}", story.business_id),
        )
    await window.page.goto(f"{site.url}/jobs?lang=en")
    await window.page.check("[data-id=webhook_process_job-1-a] input")
    event_id = await story.arrives("W1")
    site.hints.tell(story.business_id)
    assert await window.shows("#waiting .job-name", "A customer's message")
    await story.starts(event_id)
    assert await window.shows("#running .job-name", "A customer's message")
    assert await window.shows("[data-part=waiting][data-amount=none] .none", "Nothing waits")
    await story.job_is(event_id, "done")
    assert await window.shows("[data-part=running][data-amount=none] .none", "Nothing runs")

    await window.page.click("button[value=chosen]")
    assert await window.shows(".card", "To run again: 1.")
    await window.page.click("button[name=sure]")
    assert await window.shows(".said", "Running again: 1.")
    assert await window.shows("#waiting .job-id", "webhook_process_job-1-a")
    await window.page.click("#waiting button")
    await window.page.click("button[name=sure]")
    assert await window.shows(".said", "It was cancelled.")
    assert await window.page.locator("#ended .job-id").all_inner_texts() == ["webhook_process_job-1-b"]
    assert window.complaints == []


async def _is_at(page: Page, path: str) -> bool:
    return path in page.url


async def until(holds: Callable[[], Awaitable[bool]]) -> bool:
    async with asyncio.timeout(8):
        while not await holds():
            await asyncio.sleep(0.05)
    return True
