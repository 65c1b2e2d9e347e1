"""The assistant's settings, its knowledge, and trying it out, as their owner sees them."""

from __future__ import annotations

import re

import asyncpg
import pytest

from tests.web.conftest import form_token

SETTINGS, KNOWLEDGE = "/settings/assistant", "/settings/knowledge"


@pytest.fixture
async def look(clean_database):
    connection = await asyncpg.connect(clean_database)
    yield connection
    await connection.close()


async def post(browser, path: str, *, at: str | None = None, **fields: str):
    token = form_token(await browser.get(at or path))
    return await browser.post(path, data={"csrf": token, **fields}, follow_redirects=True)


async def test_settings_are_kept_and_shown_again(dana, look):
    saved = await post(
        dana,
        SETTINGS,
        about="A locksmith in <Jaffa>",
        tone="warm",
        instructions="Ask for the street.",
        hours_sun="9-13, 16:00-19:00",
        exceptions="2026-12-24..2026-12-26 closed Christmas",
        mode="approve",
        tool_set_reminder="yes",
        quiet_s="0",
        session_idle_h="12",
        monthly_cap_usd="5,5",
    )

    assert "It counts from the next message on." in saved.text
    for shown in (
        "A locksmith in &lt;Jaffa&gt;",
        "09:00-13:00, 16:00-19:00",
        "closed Christmas",
        'value="5.5"',
    ):
        assert shown in saved.text
    row = await look.fetchrow("SELECT * FROM business_assistant")
    assert (row["needs_approval"], row["keeps_scope"], row["tools"]) == (True, False, ["set_reminder"])
    assert (row["quiet_s"], row["session_idle_h"], row["monthly_cap_micro"]) == (0, 12, 5_500_000)


@pytest.mark.parametrize(
    ("field", "written", "told"),
    [
        ("hours_mon", "in the morning", "These are no hours: in the morning"),
        ("exceptions", "some day", "These are no hours: some day"),
        ("monthly_cap_usd", "-3", "-3 is no number"),
        ("quiet_s", "soon", "soon is no number"),
        ("instructions", "x" * 4_001, "longer than 4,000"),
    ],
)
async def test_what_cannot_be_kept_comes_back_as_it_was_typed(dana, look, field, written, told):
    answer = await post(dana, SETTINGS, **{field: written, "about": "We sell locks"})

    assert answer.status_code == 422
    assert told in answer.text
    assert "We sell locks" in answer.text
    assert written in answer.text
    assert await look.fetchval("SELECT count(*) FROM business_assistant") == 0


async def test_a_notice_is_shown_until_its_owner_has_read_it(dana, noa, shops, look):
    await look.execute(
        "INSERT INTO assistant_notice (business_id, kind, period, times, detail)"
        " VALUES ($1, 'model_refused', now(), 3, 'check OPENAI_API_KEY')",
        shops.dana.business_id,
    )
    shown = await dana.get(SETTINGS)
    assert "The language model refused to answer" in shown.text
    assert "3 times" in shown.text
    assert "OPENAI_API_KEY" not in (await noa.get(SETTINGS)).text

    read = await post(dana, f"{SETTINGS}/seen", at=SETTINGS)

    assert "refused to answer" not in read.text


async def test_the_month_s_cost_is_the_business_s_own(dana, noa, shops, look):
    await look.execute(
        "INSERT INTO assistant_use (business_id, purpose, model, input_tokens, output_tokens, cost_micro)"
        " VALUES ($1, 'reply', 'm', 1200, 30, 2500000)",
        shops.dana.business_id,
    )

    assert "1 answers of the model, $2.50" in (await dana.get(SETTINGS)).text
    assert "$0.0000" in (await noa.get(SETTINGS)).text


async def test_an_entry_is_added_found_changed_and_removed(dana, look):
    await post(dana, f"{KNOWLEDGE}/new", title="מחיר פריצה", body="250 ש״ח")
    await post(dana, f"{KNOWLEDGE}/new", title="Parking", body="Free, behind the shop")
    assert await look.fetch("SELECT title, language FROM knowledge_entry ORDER BY language") == [
        ("Parking", "en"),
        ("מחיר פריצה", "he"),
    ]

    found = await dana.get(KNOWLEDGE, params={"q": "where can I park"})
    assert "Parking" in found.text
    assert "מחיר" not in found.text

    [entry] = re.findall(rf'href="({KNOWLEDGE}/[0-9a-f-]{{36}})"', found.text)
    changed = await post(dana, entry, title="Parking", body="In Herzl street")
    assert "In Herzl street" in changed.text
    await post(dana, f"{entry}/remove", at=entry)
    assert await look.fetchval("SELECT count(*) FROM knowledge_entry") == 1


async def test_another_business_s_entry_is_not_there(dana, noa, look):
    await post(dana, f"{KNOWLEDGE}/new", title="Secret", body="of Dana")
    entry_id = await look.fetchval("SELECT id FROM knowledge_entry")

    assert (await noa.get(f"{KNOWLEDGE}/{entry_id}")).status_code == 404
    assert "Secret" not in (await noa.get(KNOWLEDGE)).text
    token = form_token(await noa.get(f"{KNOWLEDGE}/new"))
    await noa.post(f"{KNOWLEDGE}/{entry_id}/remove", data={"csrf": token})
    taken = await noa.post(f"{KNOWLEDGE}/{entry_id}", data={"csrf": token, "title": "Mine", "body": "now"})
    assert taken.status_code == 404
    assert await look.fetchval("SELECT title FROM knowledge_entry") == "Secret"


async def test_a_pasted_text_becomes_entries(dana, look):
    text = (
        "Q: How much?\nA: 250 NIS\nby day.\n\nש: איפה אתם?\nת: ברחוב הרצל 5\n\n- Free parking behind the shop"
    )

    await post(dana, f"{KNOWLEDGE}/import", text=text)

    assert await look.fetch("SELECT title, body, language FROM knowledge_entry ORDER BY title") == [
        ("Free parking behind the shop", "Free parking behind the shop", "en"),
        ("How much?", "250 NIS\nby day.", "en"),
        ("איפה אתם?", "ברחוב הרצל 5", "he"),
    ]


async def test_a_text_without_an_entry_is_refused(dana, look):
    answer = await post(dana, f"{KNOWLEDGE}/import", text=" \n \n")

    assert answer.status_code == 422
    assert await look.fetchval("SELECT count(*) FROM knowledge_entry") == 0


async def test_a_question_is_tried_by_a_worker_and_the_page_waits_for_it(dana, noa, look):
    waiting = await post(dana, f"{SETTINGS}/try", question="Do you sell <b>pianos</b>?")

    assert "The assistant is thinking" in waiting.text
    assert 'http-equiv="refresh"' in waiting.text
    assert "&lt;b&gt;pianos" in waiting.text
    assert await look.fetchval("SELECT kind FROM job") == "assistant_try_job"
    assert "pianos" not in await look.fetchval("SELECT payload::text FROM job")

    details = (
        '{"sources": [], "tools": [], "hands_over": true, "trouble": null, "model": null, "cost_micro": 0}'
    )
    await look.execute(
        "UPDATE assistant_trial SET answer = 'A person will tell you.', answered_at = now(), details = $1",
        details,
    )
    path = str(waiting.url.path)
    answered = await dana.get(path)
    assert "A person will tell you." in answered.text
    assert "and call a person" in answered.text
    assert "refresh" not in answered.text
    assert (await noa.get(path)).status_code == 404


async def test_members_who_own_nothing_change_nothing(dana, shops, look):
    await look.execute("UPDATE membership SET role = 'member'")

    for path in (SETTINGS, KNOWLEDGE, f"{SETTINGS}/try", f"{KNOWLEDGE}/import"):
        assert (await dana.get(path)).status_code == 403
