"""Writing to a customer in a real browser: at once, once, by keyboard, on a phone, in both languages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.async_api import Route

from tests.domains.messaging.test_files import PNG
from tests.web.conftest import Shops
from tests.web.site import Site
from tests.web.test_browser import CHROMIUM, Window, until, window
from tests.web.test_media import kept

__all__ = ["kept", "window"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


async def look(window: Window, name: str) -> None:
    """Keep a picture of the page for people, where they asked for one."""
    if folder := os.environ.get("PICTURES"):
        await window.page.screenshot(path=Path(folder) / f"{name}.png")


async def count(shops: Shops, author: str = "person") -> int:
    counted = await shops.dana.connection.fetchval("SELECT count(*) FROM message WHERE author = $1", author)
    return int(counted)


async def test_what_is_written_shows_at_once_and_is_stored_once(
    window: Window, site: Site, shops: Shops
) -> None:
    conversation = await shops.dana.meet("Maya")
    await shops.dana.writes(conversation, "How much is a door?", provider_id="IN1")
    await window.page.goto(f"{site.url}/inbox/{conversation}?lang=en")

    await window.page.fill("#compose-text", "350, and\nI come today")
    await window.page.press("#compose-text", "Control+Enter")
    await window.page.press("#compose-text", "Control+Enter")
    assert await window.shows(".bubble[data-author=person] .words", "350, and")
    site.hints.tell(shops.dana.business_id)
    assert await window.shows(".bubble[data-author=person]:not(.pending) .bubble-by", "Team · dana")
    assert await until(lambda: _has_no(window, ".pending"))
    assert await window.page.input_value("#compose-text") == ""

    assert await window.shows(".mode", "dana answers until")
    await window.page.click(".resume button")
    site.hints.tell(shops.dana.business_id)
    assert await window.shows(".mode", "The AI answers")
    assert await count(shops) == 1
    assert window.complaints == []


async def test_what_was_changed_after_a_lost_answer_is_a_message_of_its_own(
    window: Window, site: Site, shops: Shops
) -> None:
    conversation = await shops.dana.meet("Maya")
    await window.page.goto(f"{site.url}/inbox/{conversation}?lang=en")
    await window.page.route("**/send", _loses_the_answer)

    for words in ("350", "350", "350, or 400 at night"):
        await window.page.fill("#compose-text", words)
        await window.page.click("#compose-send")
        assert await window.shows("#compose-error", "did not answer")
        assert await until(lambda: _has_no(window, "#compose[data-busy]"))

    rows = await shops.dana.connection.fetch("SELECT text FROM message ORDER BY position")
    assert [row["text"] for row in rows] == ["350", "350, or 400 at night"]


async def test_a_conversation_that_is_paused_may_be_paused_for_longer(
    window: Window, site: Site, shops: Shops
) -> None:
    conversation = await shops.dana.meet("Maya")
    await shops.dana.connection.execute(
        "UPDATE conversation SET ai_paused_until = now() + interval '5 minutes' WHERE id = $1", conversation
    )
    await window.page.set_viewport_size({"width": 390, "height": 800})
    await window.page.goto(f"{site.url}/inbox/{conversation}?lang=he")

    await window.page.click("#assistant-menu summary")
    await look(window, "paused-menu")
    await window.page.click("#assistant-menu [value=off]")
    site.hints.tell(shops.dana.business_id)

    assert await until(lambda: _is_off(shops))
    assert window.complaints == []


async def test_a_message_is_quoted_and_reacted_to(window: Window, site: Site, shops: Shops) -> None:
    conversation = await shops.dana.meet("Maya")
    await shops.dana.writes(conversation, "Which colour?", provider_id="IN1")
    await window.page.goto(f"{site.url}/inbox/{conversation}?lang=en")

    await window.page.click(".deeds [data-do=react]")
    await window.page.click(".emoji button")
    await window.page.click(".deeds [data-do=quote]")
    assert await window.shows("#quoted", "Which colour?")
    await window.page.fill("#compose-text", "Blue")
    await window.page.click("#compose-send")
    assert await until(lambda: _is_stored(shops, 2))

    rows = await shops.dana.connection.fetch(
        "SELECT kind, text, quoted_provider_id, details ->> 'target' AS target FROM message"
        " WHERE author = 'person' ORDER BY position"
    )
    assert [tuple(row) for row in rows] == [
        ("reaction", "\U0001f44d", None, "IN1"),
        ("text", "Blue", "IN1", None),
    ]
    assert window.complaints == []


async def test_a_file_is_attached_and_goes_with_its_words(
    window: Window, site: Site, shops: Shops, kept: Path, tmp_path: Path
) -> None:
    conversation = await shops.dana.meet("Maya")
    await window.page.goto(f"{site.url}/inbox/{conversation}?lang=en")

    price_list = tmp_path / "prices.txt"
    price_list.write_text("350")
    await window.page.set_input_files("#compose-file", price_list)
    assert await window.shows("#attached-name", "prices.txt")
    await window.page.fill("#compose-text", "Here they are")
    await window.page.click("#compose-send")
    assert await until(lambda: _is_stored(shops, 1))

    row = await shops.dana.connection.fetchrow(
        "SELECT message.kind, text, file_name FROM message"
        " JOIN media_file ON media_file.message_id = message.id"
    )
    assert tuple(row) == ("document", "Here they are", "prices.txt")
    assert window.complaints == []


async def test_a_template_with_a_picture_and_a_link_is_filled_seen_and_sent(
    window: Window, site: Site, shops: Shops, kept: Path, tmp_path: Path
) -> None:
    conversation = await shops.dana.meet("Maya")
    await shops.dana.connection.execute(
        "INSERT INTO message_template (business_id, channel_id, name, language, status, reason, body,"
        " variables, header, buttons) SELECT $1, channel_id, name, 'en', status, reason, 'Hello {{1}}', 1,"
        " header, $3 FROM conversation, (VALUES ('doors', 'APPROVED', NULL, $4::jsonb),"
        " ('cards', 'UNSUPPORTED', 'CAROUSEL', NULL)) AS told (name, status, reason, header) WHERE id = $2",
        *(shops.dana.business_id, conversation),
        '[{"type": "url", "text": "Track", "url": "https://shop.test/{{1}}"}]',
        '{"format": "image", "text": ""}',
    )
    await window.page.goto(f"{site.url}/inbox/{conversation}?lang=en")
    await window.page.click("#templates summary")
    await window.page.click("#templates .template summary")
    assert await window.shows("#templates .withheld", "CAROUSEL")
    door = tmp_path / "door.png"
    door.write_bytes(PNG)

    await window.page.set_input_files("#templates [data-header]", door)
    assert await window.shows("[data-chosen]", "door.png")
    await window.page.fill("#templates [name=var1]", "Maya")
    await window.page.fill("#templates [name=button0]", "812")
    assert await window.shows("#templates [data-look=address] .words", "https://shop.test/812")
    assert await window.shows("#templates", "Hello Maya")
    await look(window, "template")
    await window.page.click("#templates form button")
    assert await until(lambda: _is_stored(shops, 1))

    row = await shops.dana.connection.fetchrow(
        "SELECT message.text, details -> 'template' -> 'buttons' -> 0 ->> 'value', media_file.kind"
        " FROM message JOIN media_file ON media_file.message_id = message.id"
    )
    assert tuple(row) == ("Hello Maya", "812", "image")
    assert await window.page.input_value("#templates [name=media_id]") == ""
    assert window.complaints == []


async def test_a_suggestion_is_edited_and_sent(window: Window, site: Site, shops: Shops) -> None:
    conversation = await shops.dana.meet("Maya")
    asked = await shops.dana.writes(conversation, "How much?", provider_id="IN1")
    await shops.dana.connection.execute(
        "INSERT INTO suggestion (business_id, conversation_id, message_id, text) VALUES ($1, $2, $3, '350.')",
        *(shops.dana.business_id, conversation, asked),
    )
    await window.page.goto(f"{site.url}/inbox/{conversation}?lang=en")
    await look(window, "suggestion")

    await window.page.click("[data-edit]")
    await window.page.fill(".suggestion textarea", "350, or 400 at night.")
    await window.page.click(".suggestion [value=send]")
    site.hints.tell(shops.dana.business_id)

    assert await window.shows(".bubble[data-author=assistant] .words", "350, or 400 at night.")
    assert await until(lambda: _has_no(window, ".suggestion:not([hidden])"))
    assert await count(shops, "assistant") == 1
    assert window.complaints == []


@pytest.mark.parametrize(("language", "width"), [("he", 390), ("en", 390), ("he", 1280), ("en", 1280)])
async def test_the_composer_stays_in_its_frame(
    window: Window, site: Site, shops: Shops, language: str, width: int
) -> None:
    story = shops.dana
    conversation = await story.meet("נועה לוי", "972501234567")
    await story.writes(conversation, "שלום, כמה עולה פריצת דלת? " * 4, provider_id="IN1")
    await story.says(conversation, "350 ₪.", provider_id="OUT1")
    for status, reason in (
        ("failed", "no such number"),
        ("unknown", "given up: nobody found out whether it went out"),
    ):
        await story.says(
            conversation,
            "אני בדרך",
            author="person",
            status=status,
            reason=reason,
            effect_key=f"message:{status}",
        )
    await story.connection.execute(
        "INSERT INTO message_template (business_id, name, body, variables) VALUES ($1, 'hours', $2, 1)",
        *(story.business_id, "We open at {{1}}. " * 6),
    )
    await window.page.set_viewport_size({"width": width, "height": 800})
    await window.page.goto(f"{site.url}/inbox/{conversation}?lang={language}")
    await look(window, f"composer-{language}-{width}")
    for menu in ("#assistant-menu", "#templates"):
        await window.page.click(f"{menu} summary")
        await look(window, f"composer-{language}-{width}-{menu[1:]}")
        frame = await window.page.locator(f"{menu} .menu-list").bounding_box()
        assert frame is not None
        assert frame["x"] >= 0
        assert frame["x"] + frame["width"] <= width
        await window.page.click(f"{menu} summary")
    over = await window.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    bottom = await window.page.evaluate("document.getElementById('desk').getBoundingClientRect().bottom")
    assert over == 0
    assert bottom <= 800
    assert window.complaints == []


@pytest.mark.parametrize("language", ["he", "en"])
async def test_the_page_of_answers_fits_a_phone(window: Window, site: Site, language: str) -> None:
    await window.page.set_viewport_size({"width": 390, "height": 800})
    await window.page.goto(f"{site.url}/settings/answers?lang={language}")
    await look(window, f"answers-{language}")

    assert await window.page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    assert window.complaints == []


async def _has_no(window: Window, selector: str) -> bool:
    return await window.page.locator(selector).count() == 0


async def _is_stored(shops: Shops, amount: int) -> bool:
    return await count(shops) == amount


async def _is_off(shops: Shops) -> bool:
    return not await shops.dana.connection.fetchval("SELECT ai_enabled FROM conversation")


async def _loses_the_answer(route: Route) -> None:
    await route.fetch()
    await route.abort()
