"""People are recognised by any of their names, and never doubled."""

from __future__ import annotations

import asyncio

import pytest

from server.domains import contacts
from server.ports import IdentityKind, Sender

BUSINESS, OTHER_BUSINESS = 6, 9
PHONE, LID = "+972501234567", "82399031480511"


def sender(phone=None, lid=None, name=None):
    told = {IdentityKind.PHONE: phone, IdentityKind.LID: lid}
    return Sender("somewhere", {kind: value for kind, value in told.items() if value}, name)


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


async def test_where_two_contacts_prove_to_be_one_the_phones_is_taken_and_nothing_moves(database, look):
    by_lid = await recognise(database, sender(lid=LID))
    by_phone = await recognise(database, sender(phone=PHONE))

    assert await recognise(database, sender(phone=PHONE, lid=LID)) == by_phone
    assert await recognise(database, sender(lid=LID)) == by_lid
    assert await count(look, "contact_identity") == 2


async def test_a_known_name_stays_and_a_missing_one_is_filled_in(database, look):
    await recognise(database, sender(phone=PHONE, name="  "))
    await recognise(database, sender(phone=PHONE, name=" Maya \n Levi"))
    await recognise(database, sender(phone=PHONE, name="Somebody"))

    assert await look.fetchval("SELECT name FROM contact") == "Maya Levi"


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
