"""Every kind of message in a real browser, in both languages, wide and narrow."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
import pytest

from server.ports import Outside
from server.providers.media_folder import MediaFolder
from simulator.media import door_photo, voice_note
from tests.web.site import Site
from tests.web.story import Story
from tests.web.test_browser import CHROMIUM, Window, until, window

__all__ = ["window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

HOSTILE = "<img src=x onerror=alert(1)> \u202egnp.exe *<b>bold</b>*"
LONG = "https://example.test/" + "a" * 300


# A picture that is far above what is looked at is fetched only once somebody scrolls there.
HAS_COME = """() => {
    const picture = document.querySelector(".picture img");
    picture?.scrollIntoView();
    return picture?.naturalWidth === 320;
}"""


async def has_come(window: Window) -> bool:
    return bool(await window.page.evaluate(HAS_COME))


class Album:
    """A conversation in which every kind of message is said."""

    def __init__(self, site: Site, story: Story, folder: Any) -> None:
        self.story = story
        self.storage = MediaFolder(folder)
        self.conversation = UUID(int=0)
        object.__setattr__(site.context, "outside", Outside(channels={}, media=self.storage))

    async def says(self, kind: str, text: str | None = None, **details: Any) -> UUID:
        """The customer says it, under an id of its own."""
        ours = details.pop("ours", False)
        quoted = details.pop("quoted", None)
        say = self.story.says if ours else self.story.writes
        message = await say(self.conversation, text, kind=kind, provider_id=f"P{kind}{text}{len(details)}")
        await self.story.connection.execute(
            "UPDATE message SET details = $2, quoted_provider_id = $3 WHERE id = $1",
            message,
            orjson.dumps(details).decode(),
            quoted,
        )
        return message

    async def brings(self, message: UUID, kind: str, state: str = "stored", **facts: Any) -> None:
        """The message's file is there, or what became of it."""
        content = facts.pop("content", b"%PDF-")
        told = {"mimetype": None, "width": None, "height": None, "name": None, "reason": None} | facts
        media_id = await self.story.connection.fetchval(
            "INSERT INTO media_file (business_id, message_id, kind, state, reason, is_held, file_name,"
            " mimetype, size_bytes, sha256, width, height)"
            " VALUES ($1, $2, $3, $4, $5, true, $6, $7, $8, 'abc', $9, $10)"
            " ON CONFLICT (message_id) DO UPDATE SET state = excluded.state, mimetype = excluded.mimetype,"
            " size_bytes = excluded.size_bytes, width = excluded.width, height = excluded.height"
            " RETURNING id",
            self.story.business_id,
            message,
            kind,
            state,
            told["reason"],
            told["name"],
            told["mimetype"],
            len(content),
            told["width"],
            told["height"],
        )

        async def chunks() -> Any:
            yield content

        await self.storage.put(self.story.business_id, media_id, chunks())

    async def tell_everything(self) -> None:
        self.conversation = await self.story.meet("דנה כהן", "+972501234567")
        await self.says("text", "*שלום!* כמה עולה _החלפת_ מנעול? ראיתי ב־https://example.test/prices")
        await self.story.says(self.conversation, "החל מ־*350 ₪*.", provider_id="OURS", status="read")
        await self.says("text", "כן, מחר בעשר", quoted="OURS")
        await self.says("text", "an answer to something old", quoted="NOT-HERE")
        await self.says("reaction", "👍", target="OURS")
        photo = await self.says("image", "זו הדלת")
        await self.brings(photo, "image", mimetype="image/png", content=door_photo(), width=320, height=240)
        voice = await self.says("voice")
        await self.brings(voice, "voice", mimetype="audio/ogg", content=voice_note())
        paper = await self.says("document", "הצעת מחיר", file_name="הצעה.pdf")
        await self.brings(paper, "document", mimetype="application/pdf", name="הצעת מחיר סופית \u202efdp.exe")
        gone = await self.says("video", "gone")
        await self.brings(gone, "video", "gone", reason="it could not be fetched")
        await self.brings(
            await self.says("image", "large"), "image", "refused", reason="it is larger than is kept"
        )
        await self.brings(await self.says("sticker"), "sticker", mimetype="image/png", content=door_photo())
        await self.says("location", name="רחוב דיזנגוף 99", latitude=32.08, longitude=34.78)
        await self.says(
            "contact",
            cards=[{"name": "אלי", "phones": ["+972 54-111-2233"]}, {"name": "<b>Noa</b>", "phones": []}],
        )
        await self.says("choice", "מחר בבוקר", choice_id="tomorrow")
        await self.says("image", view_once=True, mimetype="image/jpeg")
        await self.says("text", "זה נעלם אחרי יום", ephemeral=True)
        await self.says("text", "שלושה חדרים", edited=True, earlier=["שני חדרים"])
        await self.says("text", "never mind", deleted=True)
        await self.says("unsupported")
        await self.says("text", HOSTILE)
        await self.says("text", LONG)


@pytest.fixture
def album(site, shops, tmp_path):
    return Album(site, shops.dana, tmp_path)


@pytest.mark.parametrize("language", ["he", "en"])
async def test_every_kind_is_shown_and_nothing_sticks_out(window: Window, site: Site, album: Album, language):
    await album.tell_everything()

    for width in (390, 1280):
        await window.page.set_viewport_size({"width": width, "height": 844})
        await window.page.goto(f"{site.url}/inbox/{album.conversation}?lang={language}")
        assert await until(lambda: has_come(window))
        sideways = await window.page.evaluate(
            "[document.documentElement, document.querySelector('#scroll')]"
            ".map((one) => one.scrollWidth - one.clientWidth)"
        )
        assert (width, sideways) == (width, [0, 0])

    page = window.page
    assert await page.locator("strong", has_text="שלום!").count() == 1
    assert await page.locator(".quote[href^='#m-']").count() == 1
    assert await page.locator(".bubble[data-side=out] .reactions li").all_inner_texts() == ["👍"]
    assert await page.locator(".bubble[data-author=customer] .reactions").count() == 0
    assert await page.locator("audio").evaluate("(one) => one.duration > 2")
    assert await page.locator(".file .file-name").inner_text() == "הצעת מחיר סופית \ufffdfdp.exe"
    assert await page.locator("form[action$='/again'] button").count() == 1
    assert await page.locator(".cards a").get_attribute("href") == "tel:+972541112233"
    assert await page.locator(".cards b").count() == 0
    assert await page.locator("img[onerror], .words b").count() == 0
    assert window.complaints == []


async def test_a_file_appears_by_itself_and_what_plays_goes_on(window: Window, site: Site, album: Album):
    album.conversation = await album.story.meet("Maya")
    photo, voice = await album.says("image", "The door"), await album.says("voice")
    await album.brings(photo, "image", "waiting")
    await album.brings(voice, "voice", mimetype="audio/ogg", content=voice_note())
    await window.page.goto(f"{site.url}/inbox/{album.conversation}?lang=en")
    assert await window.shows(".coming", "On its way")
    await window.page.evaluate("document.querySelector('audio').dataset.same = 'yes'")

    await album.brings(photo, "image", mimetype="image/png", content=door_photo(), width=320, height=240)
    site.hints.tell(album.story.business_id)

    assert await until(lambda: has_come(window))
    assert await window.page.locator("audio").get_attribute("data-same") == "yes"
    assert await window.page.locator(".coming").count() == 0
    assert window.complaints == []
