"""What pages show, to whom, and what they tell the browser."""

from __future__ import annotations

from html import unescape
from uuid import UUID

import httpx
import pytest

from server.domains import messaging
from server.web.headers import ALWAYS
from server.web.rows import REASONS
from server.web.words import Language, load_words
from tests.web.conftest import Shops
from tests.web.site import Site, open_site

PATHS = (
    *("/", "/login", "/inbox", "/demo", "/live", "/enter/x", f"/inbox/{UUID(int=7)}"),
    *("/jobs", "/jobs/again", "/jobs/cancel"),
    *("/static/none.css", "/nowhere", "/inbox/not-an-id"),
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_every_answer_tells_the_browser_what_not_to_do(
    site: Site, shops: Shops, path: str, method: str
) -> None:
    async with site.visitor() as browser:
        answer = await browser.request(method, path)
    assert {name: answer.headers[name] for name in ALWAYS} == dict(ALWAYS)
    assert answer.status_code < 500


async def test_only_the_demo_may_embed_and_only_the_simulator(dana: httpx.AsyncClient) -> None:
    demo = (await dana.get("/demo")).headers["content-security-policy"]
    inbox = (await dana.get("/inbox")).headers["content-security-policy"]
    assert "frame-src http://127.0.0.1:9;" in f"{demo};"
    assert demo.replace("; frame-src http://127.0.0.1:9", "") == inbox


@pytest.mark.parametrize("path", ["/inbox", "/demo", "/login", "/jobs"])
async def test_pages_hold_no_inline_script_or_style(dana: httpx.AsyncClient, path: str) -> None:
    page = (await dana.get(path, follow_redirects=True)).text
    assert "<style" not in page
    assert " style=" not in page
    assert " on" not in {attribute[:3] for attribute in page.split('"')}
    assert page.count("<script") == page.count('<script type="module" src="/static/')


async def test_static_files_are_kept_for_a_year_and_modules_find_each_other(dana: httpx.AsyncClient) -> None:
    page = (await dana.get("/demo")).text
    module = page.split('<script type="module" src="')[1].split('"')[0]
    script = await dana.get(module)
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"].startswith("text/javascript")
    imported = script.text.split('from "./')[1].split('"')[0]
    assert (await dana.get(f"/static/{imported}")).status_code == 200


async def test_the_first_page_is_the_demo_where_there_is_one(
    dana: httpx.AsyncClient, clean_database: str, free_port: int
) -> None:
    assert (await dana.get("/")).headers["location"] == "/demo"
    async with open_site(clean_database, free_port + 1) as without, without.visitor() as browser:
        assert (await browser.get("/")).headers["location"] == "/inbox"
        assert (await browser.get("/demo")).status_code == 404


async def test_the_inbox_shows_who_wrote_what_was_answered_and_from_where(
    dana: httpx.AsyncClient, shops: Shops
) -> None:
    conversation = await shops.dana.meet("Yossi", "+972501234567")
    await shops.dana.writes(conversation, "How much is a new lock?")
    await shops.dana.says(
        conversation, "From 180.", sources=["Price list"], status="failed", reason="No line."
    )
    listed = (await dana.get("/inbox")).text
    opened = (await dana.get(f"/inbox/{conversation}")).text
    assert "Yossi" in listed
    assert "From 180." in listed
    for words in ("How much is a new lock?", "From 180.", "Price list", "Not sent", "No line."):
        assert words in opened


@pytest.mark.parametrize("reason", REASONS)
async def test_why_an_answer_was_given_up_is_said_in_the_reader_s_language(
    dana: httpx.AsyncClient, shops: Shops, reason: str
) -> None:
    conversation = await shops.dana.meet("Yossi")
    asked = await shops.dana.writes(conversation, "How much is a new lock?")
    await shops.dana.says(conversation, "From 180.", status="failed", reason=reason, answers=asked)
    await shops.dana.connection.execute("UPDATE conversation SET needs_person = true")
    words = load_words()
    for language in Language:
        opened = unescape((await dana.get(f"/inbox/{conversation}?lang={language}")).text)
        for said in (REASONS[reason], "status.failed", "inbox.needs_person"):
            assert words[language](said) in opened
        assert reason not in opened


@pytest.mark.parametrize(("reason", "times"), [(messaging.NOBODY_KNOWS, 1), ("timed out", 0)])
async def test_an_answer_in_doubt_says_so_once_a_person_was_called(
    dana: httpx.AsyncClient, shops: Shops, reason: str, times: int
) -> None:
    conversation = await shops.dana.meet("Yossi")
    await shops.dana.says(conversation, "From 180.", status="unknown", reason=reason)
    words = load_words()
    for language in Language:
        opened = unescape((await dana.get(f"/inbox/{conversation}?lang={language}")).text)
        assert words[language]("status.unknown") in opened
        assert opened.count(words[language](REASONS[messaging.NOBODY_KNOWS])) == times
        assert reason not in opened


async def test_an_empty_inbox_says_so_kindly(dana: httpx.AsyncClient) -> None:
    assert "All quiet" in (await dana.get("/inbox")).text
    assert "one message away" in (await dana.get("/demo")).text


async def test_another_business_s_conversation_is_not_there(
    dana: httpx.AsyncClient, noa: httpx.AsyncClient, shops: Shops
) -> None:
    conversation = await shops.dana.meet("Yossi")
    await shops.dana.writes(conversation, "A secret for Dana")
    for path in (f"/inbox/{conversation}", f"/demo?conversation={conversation}"):
        assert (await dana.get(path)).status_code == 200
        stolen = await noa.get(path)
        assert stolen.status_code == 404
        assert "A secret" not in stolen.text
    for path in ("/inbox", "/demo"):
        assert "Yossi" not in (await noa.get(path)).text


async def test_what_strangers_write_is_shown_and_never_obeyed(dana: httpx.AsyncClient, shops: Shops) -> None:
    conversation = await shops.dana.meet('<img src=x onerror="alert(1)">')
    await shops.dana.writes(conversation, "<script>alert(1)</script> {{ 7*7 }} \u202etxt.exe\x07")
    page = (await dana.get(f"/inbox/{conversation}")).text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "{{ 7*7 }}" in page
    assert "\u202e" not in page
    assert "\x07" not in page


async def test_a_page_speaks_the_language_asked_for_and_remembers_it(dana: httpx.AsyncClient) -> None:
    assert '<html lang="en" dir="ltr">' in (await dana.get("/inbox")).text
    assert '<html lang="he" dir="rtl">' in (await dana.get("/inbox?lang=he")).text
    assert '<html lang="he" dir="rtl">' in (await dana.get("/inbox")).text
    assert '<html lang="he" dir="rtl">' in (await dana.get("/inbox?lang=xx")).text


async def test_a_page_speaks_the_business_s_language_before_the_browser_s(
    noa: httpx.AsyncClient, site: Site
) -> None:
    english = {"Accept-Language": "en-GB,en;q=0.9"}
    assert 'lang="he"' in (await noa.get("/inbox", headers=english)).text
    async with site.visitor() as stranger:
        assert '<html lang="en"' in (await stranger.get("/login", headers=english)).text
        assert '<html lang="he"' in (await stranger.get("/login")).text


async def test_a_database_that_is_away_gets_a_page_that_says_so(
    clean_database: str, shops: Shops, free_port: int
) -> None:
    nowhere = "postgresql://postgres@127.0.0.1:1/none"
    async with open_site(nowhere, free_port) as site, site.visitor() as browser:
        browser.cookies.set("prosaas_session", "any")
        answer = await browser.get("/inbox?lang=en")
    assert answer.status_code == 503
    assert "Back in a moment" in answer.text
