"""What is found for a question, on real PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from server.db import Database
from server.domains import assistant


async def titles(database: Database, business_id: int, question: str) -> list[str]:
    async with database.transaction(business_id) as session:
        found = await assistant.find_knowledge(session, business_id, question)
    return [entry.title for entry in found]


async def test_an_entry_added_twice_is_one_entry_with_the_newer_body(database, businesses):
    async with database.transaction(businesses.flowers) as session:
        first = await assistant.add_knowledge(session, 9, title="Roses", body="One costs 5.", language="en")
    async with database.transaction(businesses.flowers) as session:
        second = await assistant.add_knowledge(session, 9, title="Roses", body="One costs 6.", language="en")
    async with database.transaction(businesses.flowers) as session:
        found = await assistant.find_knowledge(session, 9, "how much are roses?")
    assert first == second
    assert found[0].body == "One costs 6."


async def test_the_same_title_in_two_languages_is_two_entries(database, businesses):
    async with database.transaction(businesses.flowers) as session:
        english = await assistant.add_knowledge(session, 9, title="Bit", body="We take Bit.", language="en")
        hebrew = await assistant.add_knowledge(session, 9, title="Bit", body="אפשר בביט.", language="he")
    assert english != hebrew


async def test_the_best_entry_comes_first_and_no_more_than_asked_for_are_given(database, businesses):
    async with database.transaction(businesses.locksmith) as session:
        found = await assistant.find_knowledge(session, 6, "כמה עולה פריצת דלת?", limit=2)
    assert found[0].title == "מחיר פריצת דלת"
    assert len(found) == 2
    assert found[0].score > found[1].score > 0


async def test_another_business_s_knowledge_is_never_found(database, businesses):
    async with database.transaction(businesses.flowers) as session:
        stolen = await assistant.find_knowledge(session, businesses.locksmith, "price of opening a door")
    assert stolen == []
    assert await titles(database, businesses.flowers, "price of opening a locked door") == ["Tulips"]


async def test_another_business_s_knowledge_cannot_be_written(database, businesses):
    with pytest.raises(Exception, match="row-level security"):
        async with database.transaction(businesses.flowers) as session:
            await assistant.add_knowledge(session, 6, title="Free locks", body="Yes!", language="en")


@pytest.mark.parametrize(
    "question",
    [
        "",
        "   ",
        "?",
        "' | '':* & !()",
        "\\' ; DROP TABLE knowledge_entry; --",
        "\u0591\u05b0\u200f\u202e",
        "🔑🔑🔑",
        "א" * 5_000,
        "door " * 2_000,
        "\x01\x02\x1f",
        "'':A <-> %s :words {business}",
        "ÿ ß İ ŉ ﬁ ½ ² Ⅷ",
    ],
)
async def test_no_question_breaks_the_search(database, businesses, question):
    async with database.transaction(businesses.locksmith) as session:
        found = await assistant.find_knowledge(session, businesses.locksmith, question)
    assert len(found) <= 5


async def test_prefix_letters_niqqud_and_typing_slips_still_find_the_entry(database, businesses):
    assert (await titles(database, 6, "ושהצילינדר"))[0] == "החלפת צילינדר"
    assert (await titles(database, 6, "אַחְרָיוּת"))[0] == "אחריות"
    assert (await titles(database, 6, "waranty"))[0] == "Warranty"


async def test_a_business_with_one_entry_answers_what_it_knows_and_nothing_else(database, businesses):
    async with database.transaction(businesses.flowers) as session:
        known = await assistant.find_knowledge(session, 9, "how much are ten tulips?")
        unknown = await assistant.find_knowledge(session, 9, "do you repair bicycles?")
    assert known[0].score > 0.34
    assert unknown == []


async def test_the_scheduler_may_not_read_knowledge(clean_database, database, businesses):
    scheduler = Database(clean_database, role="prosaas_scheduler")
    try:
        with pytest.raises(Exception, match="permission denied"):
            async with scheduler.transaction(6) as session:
                await session.execute(text("SELECT title FROM knowledge_entry LIMIT 1"))
    finally:
        await scheduler.aclose()
