"""The phone's page in a browser: what a person can press, both ways."""

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.simulator.outside import Outside

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DANA = "972501234567"
BUTTONS = [{"type": "reply", "reply": {"id": "m", "title": "בבוקר"}}]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")


@pytest.fixture
async def page(outside: Outside) -> AsyncIterator[Page]:
    await outside.connect_cloud()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM)
        page = await browser.new_page(viewport={"width": 390, "height": 844})
        page.set_default_timeout(10_000)
        await page.goto(f"{outside.url}/phone?lang=en&channel=cloud")
        yield page
        await browser.close()


async def press(page: Page, words: str, name: str) -> None:
    await page.locator(".bubble", has_text=words).first.locator(".more").click()
    await page.locator(".actions").get_by_role("button", name=name).click()


async def test_a_message_is_written_answered_reacted_to_edited_and_taken_back(outside: Outside, page: Page):
    await page.fill("#text", "hello *there*")
    await page.press("#text", "Enter")
    await expect(page.locator(".bubble strong")).to_have_text("there")
    body = {"type": "button", "body": {"text": "when?"}, "action": {"buttons": BUTTONS}}
    await outside.send_cloud(type="interactive", interactive=body)
    await page.get_by_role("button", name="בבוקר").click()
    await press(page, "when?", "React 👍")
    await press(page, "hello", "Edit")
    await page.fill("#text", "hello again")
    await page.press("#text", "Enter")
    await expect(page.locator(".bubble", has_text="hello again")).to_contain_text("edited")
    await press(page, "hello again", "Delete")
    await expect(page.locator(".bubble").first).to_contain_text("This message was deleted")
    deleted, asked, chosen = await outside.shown(DANA)
    assert (deleted["deleted"], deleted["edited"]) == (True, True)
    assert (asked["reactions"], asked["state"]) == ({"sent": "👍"}, "read")
    assert (chosen["kind"], chosen["quotes"]) == ("choice", asked["id"])
    kinds = [message["type"] for value in outside.receiver.changes() for message in value.get("messages", [])]
    assert kinds == ["text", "interactive", "reaction", "edit", "revoke"]
    overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow == 0


async def test_the_owner_writes_from_the_same_page_and_stickers_play(outside: Outside, page: Page):
    await page.get_by_text("Owner", exact=True).click()
    await page.fill("#text", "I will call you")
    await page.press("#text", "Enter")
    await expect(page.locator(".bubble.received")).to_contain_text("I will call you")
    await page.get_by_text("Bridge", exact=True).click()
    await expect(page.locator(".bubble")).to_have_count(0)
    await page.get_by_text("Customer", exact=True).click()
    await page.click("#attach")
    await page.get_by_role("button", name="Video").click()
    await expect(page.locator("video")).to_have_js_property("videoWidth", 320)
    assert len(outside.receiver.changes("smb_message_echoes")) == 1
