"""People are recognised by any of their names, and never doubled."""

from __future__ import annotations

import asyncio

import pytest

from server.domains import contacts
from tests.domains.contacts.people import sender

BUSINESS, OTHER_BUSINESS = 6, 9
PHONE, LID = "+972501234567", "82399031480511"


async def recognise(database, who, business=BUSINESS):
    async with database.transaction(business) as session:
        return await contacts.recognise(session, business, who)


async def count(look, table):
    return await look.fetchval(f"SELECT count(*) FROM {table}")


async def test_the_same_phone_is_the_same_contact(database, look):
    first = await recognise(database, sender(phone=PHONE, name="Maya"))

    assert await recognise(database, sender(phone=PHONE)) == first
    assert await look.fetchval("SELECT name FROM contact") == "Maya"


async def test_a_message_with_both_names_ties_them_together(database, look):
    first = await recognise(database, sender(lid=LID))

    assert await recognise(database, sender(phone=PHONE, lid=LID)) == first
    assert await recognise(database, sender(phone=PHONE)) == first
    assert await count(look, "contact") == 1


async def test_the_digits_of_a_lid_are_never_a_phone(database, look):
    await recognise(database, sender(lid=LID))
    await recognise(database, sender(phone=f"+{LID}"))

    assert await count(look, "contact") == 2
    assert await look.fetchval("SELECT value FROM contact_identity WHERE kind = 'lid'") == LID


async def test_a_username_proves_nothing(database, look):
    known = await recognise(database, sender(bsid="IL.1", username="@Maya"))

    stranger = await recognise(database, sender(username="maya"))
    other = await recognise(database, sender(bsid="IL.2", username="maya"))

    assert len({known, stranger, other}) == 3
    assert await recognise(database, sender(username="MAYA")) == stranger
    assert await recognise(database, sender(bsid="IL.1", username="maya")) == known


async def test_a_username_that_was_given_up_is_its_new_owners(database, look):
    first = await recognise(database, sender(bsid="IL.1", username="maya"))
    second = await recognise(database, sender(bsid="IL.2", username="maya"))
    await recognise(database, sender(bsid="IL.1", username="maya.levi"))

    rows = await look.fetch("SELECT contact_id, value FROM contact_identity WHERE kind = 'username'")
    assert {tuple(row) for row in rows} == {(first, "maya.levi"), (second, "maya")}


async def test_a_known_name_stays_and_a_missing_one_is_filled_in(database, look):
    await recognise(database, sender(phone=PHONE, name="  "))
    await recognise(database, sender(phone=PHONE, name=" Maya \n Levi"))
    await recognise(database, sender(phone=PHONE, name="Somebody"))

    assert await look.fetchval("SELECT name FROM contact") == "Maya Levi"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Unknown",
            " unknown name.",
            "Customer",
            "N/A",
            "null",
            "None",
            "undefined",
            "Anonymous",
            "-",
            "???",
        ),
        *("לא ידוע", "ללא שם", "אנונימי", "+972 50-123-4567", "972501234567"),
    ],
)
async def test_what_stands_for_a_missing_name_is_none(database, look, name):
    await recognise(database, sender(phone=PHONE, name=name))

    assert await look.fetchval("SELECT name FROM contact") is None


@pytest.mark.parametrize("name", ["Noa Unknown", "מאיה", "🌸", "Studio 54", "Null Levi", "24/7"])
async def test_a_name_of_ones_own_is_kept(database, look, name):
    await recognise(database, sender(phone=PHONE, name=name))

    assert await look.fetchval("SELECT name FROM contact") == name


async def test_one_persons_contact_at_two_businesses_is_two(database, look):
    ours = await recognise(database, sender(phone=PHONE))
    theirs = await recognise(database, sender(phone=PHONE), OTHER_BUSINESS)

    assert ours != theirs


async def test_twenty_at_once_make_one_contact(database, look):
    senders = [sender(phone=PHONE), sender(phone=PHONE, lid=LID)] * 10

    found = await asyncio.gather(*(recognise(database, one) for one in senders))

    assert len(set(found)) == 1
    assert await count(look, "contact") == 1


async def test_a_sender_without_any_name_is_refused(database):
    with pytest.raises(contacts.NamelessSenderError):
        await recognise(database, sender(phone="not a phone"))


async def test_a_lead_is_made_once_and_keeps_what_brought_it(database, look):
    contact_id = await recognise(database, sender(phone=PHONE))
    async with database.transaction(BUSINESS) as session:
        first = await contacts.touch_lead(session, contact_id, "whatsapp")
    await look.execute("UPDATE lead SET last_contact_at = now() - interval '1 day'")
    async with database.transaction(BUSINESS) as session:
        second = await contacts.touch_lead(session, contact_id, "call")

    assert first == second
    lead = await look.fetchrow(
        "SELECT source, last_contact_at > now() - interval '1 minute' AS now FROM lead"
    )
    assert tuple(lead) == ("whatsapp", True)


@pytest.mark.parametrize(
    ("written", "country", "phone"),
    [
        ("+972501234567", None, "+972501234567"),
        ("050-123-4567", "IL", "+972501234567"),
        ("+1 (415) 867-5309", None, "+14158675309"),
        ("0501234567", None, None),
        ("maya", "IL", None),
        ("", "IL", None),
        ("+999501234567", None, "+999501234567"),
    ],
)
def test_a_phone_is_written_in_one_way(written, country, phone):
    assert contacts.normalise_phone(written, country) == phone
