"""What an owner does on the schedule page: asked first, done once, recorded; and nobody else does it."""

from __future__ import annotations

import asyncio
import re
from itertools import product

import httpx
from redis.asyncio import Redis

from server.queue.dispatch import Dispatcher
from tests.engine import eventually
from tests.web.conftest import Shops
from tests.web.site import Site
from tests.web.timetable import HOUSE, actor, audit, keep, register, runs
from tests.web.work import post

DEEDS = ("run", "pause", "resume")


async def sure(browser: httpx.AsyncClient, deed: str, name: str, reason: str = "a test") -> httpx.Response:
    """Press a button, answer its question with yes, and return the page that says what became of it."""
    fields = question(await post(browser, f"/schedule/{deed}", schedule=name)) | {"reason": reason}
    return await browser.get((await answer(browser, deed, fields)).headers["location"])


def question(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of a question."""
    assert page.status_code == 200
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))


async def answer(browser: httpx.AsyncClient, deed: str, fields: dict[str, str]) -> httpx.Response:
    """Say yes to a question."""
    return await browser.post(f"/schedule/{deed}", data=fields | {"sure": "yes"})


async def test_running_now_is_asked_first_and_then_reaches_a_queue_beside_the_plan(
    dana: httpx.AsyncClient, site: Site, shops: Shops, redis: Redis
) -> None:
    site.context.database.announce = Dispatcher(site.context.database, redis).announce
    name = await keep(site, shops.dana)
    plan = "SELECT next_slot, watermark FROM schedule WHERE name = $1"
    before = await shops.dana.connection.fetchrow(plan, name)
    asked = await post(dana, "/schedule/run", schedule=name)
    for said in ("Run this now?", "Weekly offer", 'name="reason"'):
        assert said in asked.text
    assert await runs(shops.dana, name) == 0

    done = await answer(dana, "run", question(asked) | {"reason": "the list changed"})
    assert (done.status_code, done.headers["location"]) == (303, "/schedule?said=run")
    assert "It was asked to run." in (await dana.get("/schedule?said=run")).text
    assert await runs(shops.dana, name) == 1
    assert await audit(shops.dana, name) == [("run", await actor(shops.dana), "the list changed")]
    assert await shops.dana.connection.fetchrow(plan, name) == before

    async def is_queued() -> bool:
        return bool(await redis.llen("rq:queue:maintenance") == 1)

    await eventually(is_queued)
    assert "by hand: dana" in (await dana.get("/schedule")).text


async def test_one_question_is_answered_once_however_often_its_form_is_sent(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    name = await keep(site, shops.dana)
    asked = question(await post(dana, "/schedule/run", schedule=name))
    answers = await asyncio.gather(*(answer(dana, "run", asked) for _ in range(5)))
    told = sorted(one.headers["location"].partition("said=")[2] for one in answers)
    assert told == ["ran_already"] * 4 + ["run"]
    assert "It was not asked twice." in (await dana.get("/schedule?said=ran_already")).text
    assert await runs(shops.dana, name) == 1

    assert "It was asked to run." in (await sure(dana, "run", name)).text
    assert await runs(shops.dana, name) == 2


async def test_a_yes_without_a_question_of_today_is_asked_again(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    name = await keep(site, shops.dana)
    for asked_at in ("", "soon", "2026-01-01T00:00:00+00:00", "0001-01-01T00:00:00+14:00"):
        again = await post(dana, "/schedule/run", schedule=name, sure="yes", asked_at=asked_at)
        assert "Run this now?" in again.text
    assert await runs(shops.dana, name) == 0


async def test_a_schedule_is_paused_and_resumed_with_reasons_and_says_when_there_is_nothing_to_do(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    name = await keep(site, shops.dana)
    assert "It was not paused." in (await sure(dana, "resume", name)).text

    paused = (await sure(dana, "pause", name, "moving\x00 house")).text
    for said in ("It is paused.", "Paused by dana since ", "moving\ufffd house"):
        assert said in paused
    assert f'data-show="resume" data-put="value:resume" value="{name}">' in paused
    assert 'data-show="pause" data-put="value:pause" value="" hidden>' in paused
    assert "It was paused already." in (await sure(dana, "pause", name)).text

    assert "It runs by itself again." in (await sure(dana, "resume", name, "")).text
    who = await actor(shops.dana)
    assert await audit(shops.dana, name) == [
        ("paused", who, "moving\ufffd house"),
        ("resumed", who, "no reason given"),
    ]


async def test_a_paused_schedule_may_run_by_hand(dana: httpx.AsyncClient, site: Site, shops: Shops) -> None:
    name = await keep(site, shops.dana)
    await sure(dana, "pause", name)
    await sure(dana, "run", name)
    assert await runs(shops.dana, name) == 1


async def test_the_installation_s_entry_is_nobody_s_to_touch(
    dana: httpx.AsyncClient, shops: Shops, clean_database: str
) -> None:
    await register(clean_database)
    before = await shops.dana.connection.fetchrow("SELECT * FROM schedule WHERE name = $1", HOUSE)
    now = await shops.dana.connection.fetchval("SELECT now()")
    for deed, fields in product(DEEDS, ({}, {"sure": "yes", "asked_at": now.isoformat()})):
        refused = await post(dana, f"/schedule/{deed}", schedule=HOUSE, **fields)
        assert refused.status_code == 404
        assert "not one of yours" in refused.text
    assert await shops.dana.connection.fetchrow("SELECT * FROM schedule WHERE name = $1", HOUSE) == before
    assert await runs(shops.dana, HOUSE) == 0


async def test_another_business_s_schedule_is_not_there_to_touch(
    dana: httpx.AsyncClient, noa: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    name = await keep(site, shops.dana)
    asked = question(await post(dana, "/schedule/run", schedule=name))
    stolen = {"schedule": name, "asked_at": asked["asked_at"], "sure": "yes"}
    for deed, fields in product(DEEDS, ({"schedule": name}, stolen)):
        refused = await post(noa, f"/schedule/{deed}", **fields)
        assert refused.status_code == 404
        assert "Weekly offer" not in refused.text
    assert await audit(shops.dana, name) == []
    assert await runs(shops.dana, name) == 0


async def test_an_unknown_name_is_not_found(dana: httpx.AsyncClient) -> None:
    names = ["", "none_such-1-a", "\x00", "א", "x" * 300, "'; DROP TABLE schedule --"]
    for deed, name in product(DEEDS, names):
        assert (await post(dana, f"/schedule/{deed}", schedule=name)).status_code == 404


async def test_a_schedule_that_is_removed_between_question_and_answer_is_not_found(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    name = await keep(site, shops.dana)
    asked = question(await post(dana, "/schedule/pause", schedule=name))
    await shops.dana.connection.execute("DELETE FROM schedule WHERE name = $1", name)
    assert (await answer(dana, "pause", asked)).status_code == 404


async def test_what_this_release_does_not_know_is_refused_in_words(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    name = await keep(site, shops.dana)
    await shops.dana.connection.execute("UPDATE schedule SET kind = 'of_tomorrow_job'")
    assert "this system does not know" in (await sure(dana, "run", name)).text
    assert await runs(shops.dana, name) == 0


async def test_a_member_who_is_no_owner_sees_everything_and_can_do_nothing(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    name = await keep(site, shops.dana)
    asked = question(await post(dana, "/schedule/run", schedule=name))
    await shops.dana.connection.execute("UPDATE membership SET role = 'member'")
    page = (await dana.get("/schedule")).text
    assert "only the owner can run, pause and resume" in page
    assert "Weekly offer" in page
    assert '<button class="small"' not in page
    for deed in DEEDS:
        refused = await answer(dana, deed, asked)
        assert refused.status_code == 403
        assert "Only the owner" in refused.text
    assert await audit(shops.dana, name) == []


async def test_a_deed_needs_a_log_in_and_the_page_s_own_token(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    name = await keep(site, shops.dana)
    asked = question(await post(dana, "/schedule/run", schedule=name)) | {"sure": "yes"}
    for deed, token in product(DEEDS, ("", "x" * 43)):
        assert (await dana.post(f"/schedule/{deed}", data=asked | {"csrf": token})).status_code == 403
    async with site.visitor() as stranger:
        for deed in DEEDS:
            assert (await dana.get(f"/schedule/{deed}")).status_code == 405
            assert (await stranger.post(f"/schedule/{deed}", data=asked)).status_code in {401, 403}
        page = await stranger.get("/schedule")
        assert (page.status_code, page.headers["location"]) == (303, "/login?next=/schedule")
    assert await audit(shops.dana, name) == []
