"""Members write, pause, resume and decide on their own business's conversations; others cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from server import clock
from server.domains.messaging import pages
from server.web.composing import _until
from server.web.rows import told_end
from tests.web.conftest import form_token


async def post(browser, conversation_id, deed, accept="application/json", **fields):
    page = await browser.get("/inbox")
    return await browser.post(
        f"/inbox/{conversation_id}/{deed}",
        data={"csrf": form_token(page), **fields},
        headers={"accept": accept},
    )


async def test_what_a_member_writes_is_stored_with_its_job_and_shown(dana, shops):
    conversation_id = await shops.dana.meet("Maya")

    answer = await post(dana, conversation_id, "send", text="Hello <b>Maya</b>", client_key="one")

    assert answer.status_code == 204
    page = await dana.get(f"/inbox/{conversation_id}")
    assert "Hello &lt;b&gt;Maya&lt;/b&gt;" in page.text
    assert "Team · dana" in page.text
    jobs = "SELECT count(*) FROM job WHERE kind = 'message_send_job'"
    assert await shops.dana.connection.fetchval(jobs) == 1


async def test_a_form_sent_twice_is_one_message(dana, shops):
    conversation_id = await shops.dana.meet("Maya")

    for _ in range(2):
        await post(dana, conversation_id, "send", text="Hello", client_key="one")

    count = "SELECT count(*) FROM message WHERE conversation_id = $1"
    assert await shops.dana.connection.fetchval(count, conversation_id) == 1


async def test_the_longest_hebrew_message_fits_in_a_form(dana, shops):
    conversation_id = await shops.dana.meet("Maya")

    assert (await post(dana, conversation_id, "send", text="ש" * 4096)).status_code == 204
    refused = await post(dana, conversation_id, "send", text="ש" * 4097)

    assert (refused.status_code, "4,096" in refused.json()["error"]) == (422, True)


async def test_a_form_without_scripts_leads_back_to_the_conversation(dana, shops):
    conversation_id = await shops.dana.meet("Maya")

    answer = await post(dana, conversation_id, "send", text="Hello", accept="text/html")

    assert (answer.status_code, answer.headers["location"]) == (303, f"/inbox/{conversation_id}")


async def test_another_business_can_do_nothing_in_a_conversation(noa, shops):
    conversation_id = await shops.dana.meet("Maya")

    answers = [
        await post(noa, conversation_id, "send", text="Hello"),
        await post(noa, conversation_id, "assistant", **{"for": "off"}),
        await post(noa, conversation_id, "settle", message=str(conversation_id), do="again"),
    ]
    await post(noa, conversation_id, "seen")

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    row = await shops.dana.connection.fetchrow("SELECT ai_enabled, read_position FROM conversation")
    assert tuple(row) == (True, 0)


async def test_an_assistant_that_is_off_may_be_given_a_time_to_resume(dana, shops):
    conversation_id = await shops.dana.meet("Maya")

    await post(dana, conversation_id, "assistant", **{"for": "off"})
    assert "dana answers" in (await dana.get(f"/inbox/{conversation_id}")).text
    await post(dana, conversation_id, "assistant", **{"for": "30m"})

    assert "dana answers until" in (await dana.get(f"/inbox/{conversation_id}")).text


async def test_a_pause_says_who_answers_and_a_resume_takes_it_back(dana, shops):
    conversation_id = await shops.dana.meet("Maya")

    await post(dana, conversation_id, "assistant", **{"for": "2h"})
    paused = await dana.get(f"/inbox/{conversation_id}")
    await post(dana, conversation_id, "assistant", **{"for": "resume"})
    resumed = await dana.get(f"/inbox/{conversation_id}")

    assert "dana answers until" in paused.text
    assert "dana answers until" not in resumed.text


async def test_the_list_can_be_sieved_and_sought(dana, shops):
    maya = await shops.dana.meet("Maya 100%", "972501112222")
    await shops.dana.meet("Omer", "972503334444")
    await post(dana, maya, "assistant", **{"for": "off"})

    async def named(query):
        page = (await dana.get(f"/inbox{query}")).text
        return [name for name in ("Maya", "Omer") if f">{name}" in page]

    assert await named("") == ["Maya", "Omer"]
    assert await named("?show=mine") == ["Maya"]
    assert await named("?show=paused") == ["Maya"]
    assert await named("?show=needs") == []
    assert await named("?q=oMER") == ["Omer"]
    assert await named("?q=50-111-2222") == ["Maya"]
    assert await named("?q=100%25") == ["Maya"]
    assert await named("?q=%00%27") == []


async def test_opening_is_no_reading_until_the_page_says_so(dana, shops):
    conversation_id = await shops.dana.meet("Maya")
    await shops.dana.writes(conversation_id, "hi")
    assert "1 unread" in (await dana.get(f"/inbox/{conversation_id}")).text
    assert "1 unread" in (await dana.get("/inbox")).text

    await post(dana, conversation_id, "seen")

    assert "1 unread" not in (await dana.get("/inbox")).text


async def test_a_failed_message_offers_to_be_sent_again_once(dana, shops):
    conversation_id = await shops.dana.meet("Maya")
    await post(dana, conversation_id, "send", text="Hello")
    message_id = await shops.dana.connection.fetchval(
        "UPDATE message SET status = 'failed', status_reason = 'no such number' RETURNING id"
    )

    first = await post(dana, conversation_id, "settle", message=str(message_id), do="again")
    second = await post(dana, conversation_id, "settle", message=str(message_id), do="again")

    assert (first.status_code, second.status_code) == (204, 409)


async def test_an_owner_keeps_quick_replies_and_says_how_long_a_takeover_lasts(dana, shops):
    conversation_id = await shops.dana.meet("Maya")
    csrf = form_token(await dana.get("/settings/answers"))

    for told in ({"name": "hours", "body": "We open at <8>."}, {"minutes": "45"}):
        assert (await dana.post("/settings/answers", data={"csrf": csrf} | told)).status_code == 303
    refused = await dana.post("/settings/answers", data={"csrf": csrf, "minutes": "0"})

    assert refused.status_code == 422
    assert 'value="45"' in refused.text
    assert "We open at &lt;8&gt;." in (await dana.get(f"/inbox/{conversation_id}")).text


async def test_an_owner_says_whether_customers_see_that_they_are_read(dana):
    csrf = form_token(await dana.get("/settings/answers"))
    is_ticked = []

    for told in ({"minutes": "30"}, {"minutes": "30", "shows_reading": "on"}):
        await dana.post("/settings/answers", data={"csrf": csrf} | told)
        shown = (await dana.get("/settings/answers")).text
        is_ticked.append('name="shows_reading" type="checkbox" checked' in shown)

    assert is_ticked == [False, True]


def test_until_tomorrow_morning_is_eight_by_the_businesses_clock():
    now = datetime(2026, 3, 26, 22, 30, tzinfo=UTC)

    until = _until("morning", now, ZoneInfo("Asia/Jerusalem"))

    # It is Friday there already, and summer time begins that night.
    assert until is not None
    assert until.astimezone(UTC) == datetime(2026, 3, 28, 5, 0, tzinfo=UTC)


def test_what_ends_another_day_is_told_with_its_hour():
    ends_at = clock.utc_now() + timedelta(days=1)

    told = told_end(ends_at, ZoneInfo("UTC"))

    assert told == f"{ends_at.day}.{ends_at.month}. {ends_at:%H:%M}"


async def test_a_conversation_on_a_held_channel_says_what_to_do_and_whom_the_inbox_waits_for(dana, shops):
    conversation = await shops.dana.meet("Maya")
    assert ">WhatsApp does not accept" not in (await dana.get(f"/inbox/{conversation}")).text
    await shops.dana.connection.execute(
        "INSERT INTO provider_account (provider, name, tokens, failures, reason, held_at)"
        " SELECT kind, id::text, 0, 5, 'held:credentials', now() FROM channel WHERE business_id = $1",
        shops.dana.business_id,
    )

    for path in ("/inbox", f"/inbox/{conversation}"):
        page = (await dana.get(path)).text
        assert ">WhatsApp does not accept" in page
        assert '<a href="/settings/channels">' in page


async def test_words_are_sought_in_the_newest_conversations_and_names_in_all(dana, shops, monkeypatch):
    monkeypatch.setattr(pages, "MOST_SEARCHED", 1)
    older = await shops.dana.meet("Maya")
    await shops.dana.writes(older, "a door of steel")
    newer = await shops.dana.meet("Omer")
    await shops.dana.writes(newer, "a gate of steel")

    by_words = (await dana.get("/inbox?q=steel")).text
    by_name = (await dana.get("/inbox?q=maya")).text

    assert (f"/inbox/{newer}" in by_words, f"/inbox/{older}" in by_words) == (True, False)
    assert f"/inbox/{older}" in by_name
