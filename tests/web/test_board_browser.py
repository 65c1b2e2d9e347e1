"""The board of leads in a real browser: a card is dragged, or moved by its button on a phone."""

from __future__ import annotations

from tests.engine import eventually
from tests.web.test_browser import CHROMIUM, pytestmark, window
from tests.web.test_leads import WHERE, maya

__all__ = ["CHROMIUM", "maya", "pytestmark", "window"]


async def test_a_card_is_dragged_to_a_column_and_moved_by_its_button_on_a_phone(window, site, shops, maya):
    page = window.page

    async def is_in(stage):
        return await shops.dana.connection.fetchval(WHERE, maya) == stage

    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.goto(f"{site.url}/leads/board?lang=en")
    await page.locator(".card-lead").drag_to(page.locator(".column").nth(2))
    await eventually(lambda: is_in("Offer sent"), what="the lead in the column it was dragged to")

    await page.set_viewport_size({"width": 390, "height": 800})
    await page.goto(f"{site.url}/leads/board?lang=he")
    await page.locator(".card-move select").select_option(label="Won")
    await page.locator(".card-move button").click()
    await eventually(lambda: is_in("Won"), what="the lead in the stage that was chosen")

    for path in ("leads", "leads/board", f"leads/{maya}", "settings/stages"):
        await page.goto(f"{site.url}/{path}")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert window.complaints == []
