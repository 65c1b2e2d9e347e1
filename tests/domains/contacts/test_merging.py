"""Two contacts that prove to be one become one, with all that is theirs; a person can part them again."""

from __future__ import annotations

import asyncio
import random

import pytest

from server.domains import contacts
from server.domains.contacts.moving import BY_HAND, OF_CONTACT, OF_CONVERSATION
from server.domains.messaging import pages
from server.errors import BadInputError
from tests.domains.contacts.people import BUSINESS, LID, PHONE, Town, sender

POINTING = """
SELECT conrelid::regclass::text AS tab, confrelid::regclass::text AS target,
       (SELECT string_agg(attname, ',') FROM pg_attribute
        WHERE attrelid = conrelid AND attnum = ANY (conkey) AND attname <> 'business_id') AS col
FROM pg_constraint
WHERE contype = 'f' AND confrelid IN ('contact'::regclass, 'conversation'::regclass)
"""


@pytest.fixture
async def town(database, look):
    return await Town(database, look).settle()


async def test_whoever_points_at_a_contact_or_a_conversation_is_known_to_merging(look):
    rows = await look.fetch(POINTING)
    known = (
        {(table, "contact", column) for table, column in OF_CONTACT.items()}
        | {(table, "conversation", column) for table, column in OF_CONVERSATION.items()}
        | {(table, target, f"{target}_id") for table, target in BY_HAND}
    )

    assert {(row["tab"], row["target"], row["col"]) for row in rows} == known


async def test_one_message_with_both_names_makes_one_contact_of_two(town):
    by_lid = await town.write(sender(lid=LID), "from the LID")
    by_phone = await town.write(sender(phone=PHONE, name="Maya"), "from the phone")

    now = await town.write(sender(phone=PHONE, lid=LID), "from both")

    assert now == by_phone != by_lid
    assert await town.count("contact") == await town.count("conversation") == await town.count("lead") == 1
    assert await town.said(by_phone) == ["from the LID", "from the phone", "from both"]
    assert await town.identities(by_phone) == {("phone", PHONE), ("lid", LID)}


async def test_an_undone_merge_parts_what_it_moved_and_leaves_what_came_since(town):
    by_lid = await town.write(sender(lid=LID, name="Lid"), "one")
    by_phone = await town.write(sender(phone=PHONE), "two")
    await town.write(sender(phone=PHONE, lid=LID), "three")

    await town.part()

    assert await town.said(by_lid) == ["one"]
    assert await town.said(by_phone) == ["two", "three"]
    assert await town.identities(by_lid) == {("lid", LID)}
    assert await town.names() == {by_lid: "Lid", by_phone: None}
    assert await town.count("lead") == 2


async def test_a_conversation_that_moved_whole_goes_back_without_what_came_since(town):
    by_lid = await town.write(sender(lid=LID), "one")
    async with town.database.transaction(BUSINESS) as session:
        by_phone = await contacts.recognise(session, BUSINESS, sender(phone=PHONE))
    await town.write(sender(phone=PHONE, lid=LID), "two")

    await town.part()

    assert await town.said(by_lid) == ["one"]
    assert await town.said(by_phone) == ["two"]


async def test_whom_a_person_parted_proof_does_not_merge_again(town):
    by_lid = await town.write(sender(lid=LID), "one")
    by_phone = await town.write(sender(phone=PHONE), "two")
    await town.write(sender(phone=PHONE, lid=LID), "three")
    await town.part()

    assert await town.write(sender(phone=PHONE, lid=LID), "four") == by_phone
    assert await town.said(by_lid) == ["one"]


async def test_a_merge_is_undone_once_and_the_later_one_first(town):
    await town.write(sender(lid=LID), "one")
    await town.write(sender(lid=LID, bsid="IL.1"), "two")
    await town.write(sender(phone=PHONE), "three")
    await town.write(sender(bsid="IL.2"), "four")
    await town.write(sender(bsid="IL.2", lid=LID), "five")
    await town.write(sender(phone=PHONE, lid=LID), "six")
    first, second = await town.merges()

    with pytest.raises(BadInputError, match="undo that first"):
        await town.part(first)
    await town.part(second)
    await town.part(first)
    with pytest.raises(BadInputError, match="already"):
        await town.part(first)


async def test_the_further_stage_and_every_note_stay(town):
    by_lid = await town.write(sender(lid=LID), "one")
    by_phone = await town.write(sender(phone=PHONE), "two")
    async with town.database.transaction(BUSINESS) as session:
        await contacts.bring_lead(
            session, by_lid, source="form", stage="הצעה נשלחה", note="wants a door", actor="test"
        )
        await contacts.add_note(session, by_phone, "called back", actor="test")

    await town.write(sender(phone=PHONE, lid=LID), "three")

    assert await town.stage(by_phone) == "הצעה נשלחה"
    notes = await town.look.fetch("SELECT text FROM lead_activity WHERE kind = 'note' ORDER BY position")
    assert [row["text"] for row in notes] == ["wants a door", "called back"]
    await town.part()
    assert await town.stage(by_phone) == "חדש"
    assert await town.stage(by_lid) == "הצעה נשלחה"


async def test_the_strictest_consent_wins_until_the_merge_is_undone(town):
    by_lid = await town.write(sender(lid=LID), "one")
    by_phone = await town.write(sender(phone=PHONE), "two")
    async with town.database.transaction(BUSINESS) as session:
        await contacts.note_consent(session, by_lid, value="withdrawn", wording="STOP", source="message")
        await contacts.note_consent(session, by_phone, value="granted", wording="START", source="message")

    await town.write(sender(phone=PHONE, lid=LID), "three")

    assert not await town.may_market(by_phone)
    assert not await town.may_market(by_lid)
    await town.part()
    assert await town.may_market(by_phone)
    assert not await town.may_market(by_lid)


async def test_a_reply_to_a_conversation_that_was_merged_away_goes_where_it_went(town):
    await town.write(sender(lid=LID), "one")
    gone = await town.look.fetchval("SELECT id FROM conversation")
    by_phone = await town.write(sender(phone=PHONE), "two")
    await town.write(sender(phone=PHONE, lid=LID), "three")

    await town.reply(gone, "an answer")

    assert await town.said(by_phone) == ["one", "two", "three", "an answer"]
    async with town.database.transaction(BUSINESS) as session:
        shown = await pages.read_conversation(session, gone)
    assert shown
    assert [message.text for message in shown.messages] == ["one", "two", "three", "an answer"]


@pytest.mark.parametrize("seed", range(4))
async def test_any_merges_undos_and_messages_at_once_keep_everything_in_its_place(town, seed):
    chance = random.Random(seed)
    for round_ in range(4):
        deeds = [town.any_deed(chance, f"{round_}.{number}") for number in range(8)]
        for ended in await asyncio.gather(*deeds, return_exceptions=True):
            if ended is not None and not isinstance(ended, BadInputError):
                raise ended

    assert await town.wrongs() == []
    assert await town.count("message") == town.written
