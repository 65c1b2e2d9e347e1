"""The schedule page: what runs when, in both languages, what was skipped and why, and who keeps time."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import httpx
import pytest
from redis.asyncio import Redis

from server.queue import schedules
from server.queue.slots import CatchUp, Plan, due_slots
from server.scheduler.schedule import TIMETABLE
from server.web.schedule_rows import HOW, KINDS, REASONS
from server.web.words import Language, load_words
from tests.web.conftest import Shops
from tests.web.site import Site, open_site
from tests.web.test_live import watching
from tests.web.timetable import HOUSE, actor, keep, put_slot, register
from tests.web.work import put_job

TRANSACTIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'prosaas_api' AND datname = current_database() AND xact_start IS NOT NULL
"""


def part_of(page: httpx.Response, name: str) -> str:
    """One list of the page, as people read it."""
    text = unescape(page.text)
    return text[text.index(f'id="{name}"') : text.index(f'id="{name}-template"')]


async def test_an_empty_page_says_so_kindly_and_that_nobody_keeps_time(dana: httpx.AsyncClient) -> None:
    page = await dana.get("/schedule")
    for words in ("no schedules of its own yet", "no scheduler has started yet"):
        assert words in page.text
    assert "No scheduler is at work." in part_of(page, "keeper")
    assert "the scheduler has to be started" in part_of(page, "keeper")


async def test_an_entry_tells_when_it_comes_in_words_in_cron_in_its_zone_and_in_utc(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    name = await keep(site, shops.dana, cron="0 8 1 1 *", zone="Asia/Jerusalem")
    next_slot = await shops.dana.connection.fetchval("SELECT next_slot FROM schedule WHERE name = $1", name)
    own = part_of(await dana.get("/schedule"), "own")
    for said in (
        "Weekly offer",
        "Every year on 1.1. at 08:00",
        '<code dir="ltr" data-text="cron">0 8 1 1 *</code>',
        ">Asia/Jerusalem<",
        f">1.1.{next_slot.year} 08:00<",
        f">1.1.{next_slot.year} 06:00<",
        f'datetime="{next_slot.isoformat()}"',
        ">not yet<",
        ">on time<",
    ):
        assert said in own
    assert "כל שנה ב־1.1. ב־08:00" in part_of(await dana.get("/schedule?lang=he"), "own")


async def test_the_installation_s_timetable_is_told_in_words_and_cannot_be_touched(
    dana: httpx.AsyncClient, clean_database: str
) -> None:
    await register(clean_database)
    for language in Language:
        house = part_of(await dana.get(f"/schedule?lang={language}"), "house")
        for entry in TIMETABLE:
            assert f'data-id="{entry.kind.name}"' in house
            assert load_words()[language](KINDS[entry.kind.name]) in house
        assert "button" not in house
        assert house.count('data-show="when"') == house.count('data-text="when">')


async def test_the_last_slot_says_how_its_job_ended_and_how_late_it_was(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    name = await keep(site, shops.dana)
    await put_job(shops.dana, "job-1-a", "ready", kind=HOUSE)
    await put_slot(shops.dana, name, "enqueued", job_id="job-1-a", minutes=180)
    for state in HOW.keys() - {"enqueued", "skipped"}:
        await shops.dana.connection.execute("UPDATE job SET state = $1", state)
        own = part_of(await dana.get("/schedule"), "own")
        assert f">{load_words()[Language.ENGLISH](HOW[state])}<" in own
        assert ">3 h late<" in own


async def test_how_the_installation_s_own_work_ended_is_told_to_everybody(
    noa: httpx.AsyncClient, shops: Shops, clean_database: str
) -> None:
    await register(clean_database)
    await put_job(shops.dana, "job-all-a", "failed", kind=HOUSE)
    await put_slot(shops.dana, HOUSE, "enqueued", job_id="job-all-a")
    assert ">failed<" not in part_of(await noa.get("/schedule?lang=en"), "house")

    await shops.dana.connection.execute("UPDATE job SET business_id = NULL")
    assert ">failed<" in part_of(await noa.get("/schedule?lang=en"), "house")


async def test_a_slot_whose_job_is_forgotten_is_told_as_handed_on(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    await put_slot(shops.dana, await keep(site, shops.dana), "enqueued", job_id="job-1-gone")
    assert ">handed to the workers<" in part_of(await dana.get("/schedule"), "own")


async def test_what_is_overdue_shows_its_lag(dana: httpx.AsyncClient, site: Site, shops: Shops) -> None:
    await keep(site, shops.dana)
    await shops.dana.connection.execute("UPDATE schedule SET next_slot = now() - interval '3 hours'")
    own = part_of(await dana.get("/schedule"), "own")
    assert 'data-late="yes" data-text="lag">3 h late<' in own


async def test_what_was_set_aside_says_so_with_the_reason(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    await keep(site, shops.dana)
    await shops.dana.connection.execute(
        "UPDATE schedule SET next_slot = NULL, zone = 'Mars/Base', trouble = 'Mars/Base is no time zone.'"
    )
    own = part_of(await dana.get("/schedule"), "own")
    assert "It was set aside and does not run." in own
    assert ">Mars/Base is no time zone.<" in own


async def test_skipped_slots_are_counted_and_listed_with_their_reason(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    name = await keep(site, shops.dana)
    for minutes, reason in enumerate(REASONS):
        await put_slot(shops.dana, name, "skipped", reason=reason, minutes=minutes)
    for language in Language:
        page = await dana.get(f"/schedule?lang={language}")
        for reason, key in REASONS.items():
            assert part_of(page, "own").count(load_words()[language](key)) == 1
            assert reason not in page.text
        assert f'data-text="skipped">{len(REASONS)}<' in part_of(page, "own")


def test_every_reason_that_the_engine_writes_has_words() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    found = set()
    for catch_up in CatchUp:
        plan = Plan("*/5 * * * *", "UTC", catch_up, timedelta(hours=1))
        due = due_slots(plan, after=now - timedelta(hours=3), until=now + timedelta(minutes=2), most=100)
        found |= {slot.skipped for slot in due.slots if slot.skipped}
    assert found == set(REASONS)


async def test_a_slot_skipped_in_a_pause_says_who_paused_and_why(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    name = await keep(site, shops.dana)
    who = await actor(shops.dana)
    await put_slot(shops.dana, name, "skipped", reason=f"paused by {who}: <b>holidays: a week")
    await put_slot(
        shops.dana, name, "skipped", reason="paused by root (prosaas schedule): no reason given", minutes=2
    )
    own = part_of(await dana.get("/schedule"), "own")
    for said in (
        "Paused by dana. <b>holidays: a week<",
        "Paused by root (prosaas schedule). No reason was given.<",
    ):
        assert said in own
    assert "<b>holidays" not in (await dana.get("/schedule")).text


async def test_slots_skipped_one_after_another_share_a_line_and_a_long_list_is_cut(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    name = await keep(site, shops.dana)
    await shops.dana.connection.execute(
        "INSERT INTO schedule_slot (schedule, slot, state, reason, business_id)"
        " SELECT $1, now() - n * interval '1 min', 'skipped', CASE WHEN n < 5 THEN 'x' ELSE 'y' END, $2"
        " FROM generate_series(1, 1001) AS n",
        *(name, shops.dana.business_id),
    )
    own = part_of(await dana.get("/schedule"), "own")
    assert re.search(r">[\d.: ]+ – [\d.: ]+ \(4\): x</li><li[^>]*>[\d.: ]+ – [\d.: ]+ \(996\): y</li>", own)
    assert "There are more; only these are shown.</li>" in own
    assert ">100+<" in own


async def test_who_keeps_time_is_told_without_its_secret(
    dana: httpx.AsyncClient, site: Site, redis: Redis
) -> None:
    await redis.set(schedules.LOCK_KEY, "host-7:4711:secret", px=15_000)
    keeper = part_of(await dana.get("/schedule"), "keeper")
    assert "A scheduler is at work:" in keeper
    assert ">host-7:4711<" in keeper
    assert "secret" not in keeper
    assert "Looked up at " in keeper


@pytest.mark.parametrize("silent", [False, True])
async def test_without_redis_the_page_says_so_and_shows_everything_else(
    clean_database: str, free_port: int, shops: Shops, *, silent: bool
) -> None:
    async def away() -> str | None:
        if silent:
            await asyncio.Event().wait()
        client = Redis.from_url("redis://127.0.0.1:1/0")
        try:
            return await schedules.timekeeper(client)
        finally:
            await client.aclose()

    async with open_site(clean_database, free_port, timekeeper=away) as site, site.visitor() as browser:
        await keep(site, shops.dana)
        await browser.get(f"/enter/{shops.links['dana']}")
        page = await browser.get("/schedule")
    assert "Redis does not answer" in part_of(page, "keeper")
    assert "Weekly offer" in part_of(page, "own")


async def test_a_redis_that_is_slow_to_answer_keeps_no_transaction_open(
    clean_database: str, free_port: int, shops: Shops
) -> None:
    held = []

    async def slow() -> str:
        held.append(await shops.dana.connection.fetchval(TRANSACTIONS))
        return "host-7:4711"

    async with open_site(clean_database, free_port, timekeeper=slow) as site, site.visitor() as browser:
        await browser.get(f"/enter/{shops.links['dana']}")
        await browser.get("/schedule")
        async with watching(browser, "page=schedule") as stream:
            news = await stream.next("lists")
    assert news["keeper"]["rows"][0]["name"] == "host-7:4711"
    assert held == [0, 0]


async def test_another_business_s_schedules_are_not_there(
    dana: httpx.AsyncClient, noa: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    name = await keep(site, shops.dana, "A secret of Dana's")
    await put_slot(shops.dana, name, "skipped", reason="a secret reason")
    assert "A secret of Dana's" in part_of(await dana.get("/schedule"), "own")
    page = await noa.get("/schedule?lang=en")
    for secret in ("secret", name):
        assert secret not in page.text
    assert 'data-part="own" data-amount="none"' in page.text


async def test_labels_and_reasons_are_shown_and_never_obeyed(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    await keep(site, shops.dana, "<script>alert(1)</script>\u202etxt")
    await shops.dana.connection.execute(
        "UPDATE schedule"
        " SET trouble = '<img src=x>', paused_at = now(), paused_by = '<i>x', pause_reason = '<i>y'"
    )
    page = (await dana.get("/schedule?said=<b>")).text
    for markup in ("<script>alert", "<img src=x", "<i>", "\u202e"):
        assert markup not in page
