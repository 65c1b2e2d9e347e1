"""Dana's leads: listed, moved on the board, noted, merged and parted; Noa sees none of it."""

from __future__ import annotations

import pytest

from server.db import Database
from server.domains import accounts
from tests.web.conftest import PASSWORD, form_token

WHERE = "SELECT stage.name FROM lead JOIN lead_stage AS stage ON stage.id = stage_id WHERE contact_id = $1"


@pytest.fixture
async def maya(shops):
    """A lead of Dana's; returns the contact's id."""
    return await become_lead(shops.dana, "Maya", "+972501234567")


@pytest.fixture
async def eli(site, shops, clean_database):
    """The browser of Eli, who works at Dana's."""
    database, business_id = Database(clean_database, role="prosaas_api"), shops.dana.business_id
    try:
        async with database.transaction(business_id) as session:
            user_id = await accounts.create_user(
                session,
                email="eli@example.com",
                name="eli",
                business_id=business_id,
                role="member",
                password=PASSWORD,
            )
            link = await accounts.issue_entry_link(session, business_id, user_id)
    finally:
        await database.aclose()
    async with site.visitor() as browser:
        await browser.get(f"/enter/{link}")
        yield browser


async def become_lead(story, name, phone=None):
    await story.meet(name, phone)
    contact_id = await story.connection.fetchval(
        "SELECT id FROM contact WHERE business_id = $1 AND name = $2", story.business_id, name
    )
    await story.connection.execute(
        "INSERT INTO lead (business_id, contact_id, source) VALUES ($1, $2, 'whatsapp')",
        story.business_id,
        contact_id,
    )
    return contact_id


async def post(browser, page, path, **fields):
    token = form_token(await browser.get(page))
    return await browser.post(path, data={"csrf": token, **fields}, follow_redirects=True)


async def test_a_lead_is_found_by_any_part_of_a_name_or_phone(dana, maya):
    for search in ("may", "501234", "MAYA"):
        assert "Maya" in (await dana.get("/leads", params={"q": search})).text
    for search in ("%", "nobody", "_"):
        assert f"/leads/{maya}" not in (await dana.get("/leads", params={"q": search})).text


async def test_a_lead_is_moved_and_noted_and_it_says_who_did(dana, maya, shops):
    await dana.get("/leads/board")
    offer = str(await shops.dana.connection.fetchval("SELECT id FROM lead_stage WHERE name = 'Offer sent'"))

    page = await post(dana, f"/leads/{maya}", f"/leads/{maya}/move", stage=offer)
    assert "The lead was moved." in page.text
    page = await post(dana, f"/leads/{maya}", f"/leads/{maya}/note", note="<b>call</b>\nback")

    assert "&lt;b&gt;call&lt;/b&gt;" in page.text
    assert "Offer sent" in page.text
    assert "dana" in page.text
    assert await shops.dana.connection.fetchval(WHERE, maya) == "Offer sent"


async def test_details_are_kept_and_what_is_wrong_is_said(dana, maya):
    page = await post(
        dana, f"/leads/{maya}", f"/leads/{maya}/save", value="1,234.5", currency="usd", city="Haifa"
    )
    assert 'value="1234.50"' in page.text
    assert "Haifa" in page.text

    refused = await post(dana, f"/leads/{maya}", f"/leads/{maya}/save", email="no address")
    assert refused.status_code == 400
    assert "no e-mail address" in refused.text


async def test_what_is_emptied_is_kept_no_longer(dana, maya):
    where = f"/leads/{maya}"
    await post(
        dana, where, f"{where}/save", name="Maya", email="may@a.example", phone="0501234567", city="Haifa"
    )

    page = await post(dana, where, f"{where}/save", name="Maya", email="", phone="", city=" ")

    for gone in ("may@a.example", 'value="+972501234567"', "Haifa"):
        assert gone not in page.text
    assert 'value="Maya"' in page.text


async def test_a_colleague_who_saves_details_does_not_take_the_lead_from_its_owner(dana, eli, maya, shops):
    where = f"/leads/{maya}"
    await post(dana, where, f"{where}/save", mine="yes")

    page = await post(eli, where, f"{where}/save", city="Haifa")

    assert "(<bdi>dana</bdi>)" in page.text
    await post(dana, where, f"{where}/save", city="Haifa")
    assert "(<bdi>dana</bdi>)" not in (await dana.get(where)).text


async def test_details_of_who_is_no_lead_are_kept(dana, shops):
    await shops.dana.meet("Owner's friend", "+972501111111")
    contact_id = await shops.dana.connection.fetchval(
        "SELECT id FROM contact WHERE name = $1", "Owner's friend"
    )
    where = f"/leads/{contact_id}"

    page = await post(dana, where, f"{where}/save", city="Haifa")
    assert page.status_code == 200
    assert 'value="Haifa"' in page.text
    page = await post(dana, where, f"{where}/save", city="Haifa", title="A new door")
    assert 'value="A new door"' in page.text


async def test_only_two_contacts_of_the_business_are_said_to_be_two(dana, noa, maya, shops):
    stranger = await become_lead(shops.noa, "Noa's own", "+972502222222")
    where = f"/leads/{maya}"

    for other in (str(maya), str(stranger), "00000000-0000-0000-0000-000000000000", "nobody"):
        page = await post(dana, where, f"{where}/merge", other=other, answer="dismiss")
        assert page.status_code == 400, other
        assert "not there any more" in page.text or "no such contact" in page.text.lower()
    assert await shops.dana.connection.fetchval("SELECT count(*) FROM contact_distinct") == 0


async def test_who_may_be_one_is_suggested_merged_and_parted(dana, maya, shops):
    other = await become_lead(shops.dana, "Maya from the form")
    await shops.dana.connection.execute(
        "UPDATE contact SET told_phone = '+972501234567' WHERE id = $1", other
    )
    assert "same phone" in (await dana.get(f"/leads/{maya}")).text

    page = await post(dana, f"/leads/{maya}", f"/leads/{other}/merge", other=str(maya), answer="merge")
    assert "The two are one contact now." in page.text
    assert str(page.url).split("?")[0].endswith(f"/leads/{other}")
    merge_id = await shops.dana.connection.fetchval("SELECT id FROM contact_merge")
    page = await post(dana, f"/leads/{maya}", f"/leads/{maya}/part", merge=str(merge_id))

    assert "The merge was undone." in page.text
    assert "same phone" not in page.text


async def test_stages_are_added_moved_and_archived_with_their_leads(dana, maya, shops):
    page = await post(
        dana, "/settings/stages", "/settings/stages", act="add", name="Visit", sort="open", colour="red"
    )
    assert 'value="Visit"' in page.text
    rows = await shops.dana.connection.fetch("SELECT id, name FROM lead_stage ORDER BY place")
    stages = {row["name"]: str(row["id"]) for row in rows}
    await post(dana, f"/leads/{maya}", f"/leads/{maya}/move", stage=stages["Visit"])

    refused = await post(dana, "/settings/stages", "/settings/stages", act="add", name="visit")
    assert "There is a stage of this name already." in refused.text
    await post(
        dana,
        "/settings/stages",
        "/settings/stages",
        act="archive",
        stage=stages["Visit"],
        move_to=stages["Won"],
    )

    assert await shops.dana.connection.fetchval(WHERE, maya) == "Won"
    assert "Visit" not in (await dana.get("/settings/stages")).text


async def test_a_conversation_leads_to_its_person_and_a_person_to_their_conversation(dana, maya, shops):
    conversation = await shops.dana.connection.fetchval(
        "SELECT id FROM conversation WHERE contact_id = $1", maya
    )

    assert f'href="/leads/{maya}"' in (await dana.get(f"/inbox/{conversation}")).text
    assert f'href="/inbox/{conversation}"' in (await dana.get(f"/leads/{maya}")).text


async def test_noa_sees_and_moves_nothing_of_danas(noa, maya, shops):
    assert "Maya" not in (await noa.get("/leads")).text
    assert "Maya" not in (await noa.get("/leads/board")).text
    assert (await noa.get(f"/leads/{maya}")).status_code == 404
    answer = await post(noa, "/leads/board", f"/leads/{maya}/note", note="mine?")

    assert answer.status_code == 404
    assert await shops.noa.connection.fetchval("SELECT count(*) FROM lead_activity") == 0


async def test_a_file_is_looked_at_started_and_all_leads_go_out_as_one(dana, noa, maya, shops):
    token = form_token(await dana.get("/leads/import"))
    files = {"file": ("leads.csv", "name,phone,budget\nEli,0502222222,7\n", "text/csv")}
    kept = await dana.post("/leads/import", files=files, headers={"X-CSRF-Token": token})
    where = kept.json()["to"]
    assert '<option value="phone" selected>' in (await dana.get(where)).text
    assert (await noa.get(where)).status_code == 404

    page = await dana.post(where, data={"csrf": token, "c0": "name"}, follow_redirects=True)
    assert page.status_code == 400
    page = await dana.post(
        where, data={"csrf": token, "c1": "phone", "has_header": "yes"}, follow_redirects=True
    )
    assert "Waiting for its turn" in page.text

    await shops.dana.connection.execute("UPDATE contact SET name = '=cmd' WHERE id = $1", maya)
    sheet = (await dana.get("/leads/export.csv")).text
    assert "'=cmd,'+972501234567" in sheet
    assert "+972501234567" not in (await noa.get("/leads/export.csv")).text


async def test_a_form_is_opened_its_address_shown_once_and_closed(dana):
    page = await post(dana, "/settings/lead-forms", "/settings/lead-forms", name="Site")
    assert "/api/webhook/leads/lf_" in page.text
    again = await dana.get("/settings/lead-forms")

    assert "Site" in again.text
    assert "lf_" not in again.text
    closing = again.text.split('name="close" value="')[1][:36]
    assert (
        "Site" not in (await post(dana, "/settings/lead-forms", "/settings/lead-forms", close=closing)).text
    )


@pytest.mark.parametrize("value", ["1e999999", "1e900000", "-1", "nan", "inf", "9" * 40, "a lot"])
async def test_what_is_no_amount_of_money_is_refused_at_once(dana, maya, value):
    page = await post(dana, f"/leads/{maya}", f"/leads/{maya}/save", value=value)

    assert page.status_code == 400


async def test_a_nul_in_a_form_is_shown_as_what_it_is(dana, maya):
    page = await post(dana, f"/leads/{maya}", f"/leads/{maya}/save", name="Ma\x00ya", city="Hai\x00fa")

    assert page.status_code == 200
    assert "Ma\ufffdya" in page.text
    assert "Hai\ufffdfa" in page.text


async def test_a_file_of_many_columns_is_mapped(dana):
    token = form_token(await dana.get("/leads/import"))
    header = ",".join(["phone", *(f"more {place}" for place in range(90))])
    files = {"file": ("wide.csv", f"{header}\n0502222222\n", "text/csv")}
    kept = await dana.post("/leads/import", files=files, headers={"X-CSRF-Token": token})
    mapping = {f"c{place}": "" for place in range(91)} | {"c0": "phone"}

    page = await dana.post(kept.json()["to"], data={"csrf": token, **mapping}, follow_redirects=True)

    assert "Waiting for its turn" in page.text


async def test_a_lead_from_before_there_were_stages_is_in_the_first_open_one(dana, maya, shops):
    await dana.get("/leads/board")
    stages = await shops.dana.connection.fetch("SELECT id FROM lead_stage ORDER BY place")

    listed = [(await dana.get("/leads", params={"stage": str(row["id"])})).text for row in stages]

    assert [f"/leads/{maya}" in text for text in listed] == [True] + [False] * (len(stages) - 1)
