"""The assistant suggests and a person decides: sent once, edited, discarded, or too late."""

from __future__ import annotations

import asyncio

import pytest

from server.domains import messaging
from server.domains.messaging import Decider
from tests.domains.messaging.conftest import PRICE, PRICE_QUESTION
from tests.domains.messaging.test_letters import member, write
from tests.engine import BUSINESS


@pytest.fixture
async def asked(shop):
    """A customer's question whose answer waits for a person; gives the suggestion's id."""
    await shop.deliver(shop.says("Hello"))
    await shop.settle()
    await shop.engine.look.execute("UPDATE conversation SET needs_approval = true")
    shop.phone.sent.clear()
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    return await shop.look("SELECT id FROM suggestion WHERE state = 'open'")


@pytest.fixture
async def dana(shop):
    return Decider(BUSINESS, await member(shop), "Dana")


async def approve(shop, dana, suggestion_id, **how):
    async with shop.engine.api.transaction(BUSINESS) as session:
        return await messaging.approve(session, dana, suggestion_id, **how)


async def test_a_suggestion_waits_and_calls_a_person(shop, asked):
    assert shop.phone.texts == []
    assert await shop.look("SELECT text FROM suggestion WHERE id = $1", asked) == PRICE
    assert await shop.look("SELECT needs_person FROM conversation")


async def test_approving_twice_at_once_sends_it_once(shop, asked, dana):
    ids = await asyncio.gather(*(approve(shop, dana, asked) for _ in range(4)))
    await shop.settle()

    assert len(set(ids)) == 1
    assert shop.phone.texts == [PRICE]
    assert await shop.look("SELECT state FROM suggestion") == "sent"
    assert not await shop.look("SELECT needs_person FROM conversation")


async def test_an_edited_suggestion_goes_out_in_the_persons_words(shop, asked, dana):
    await approve(shop, dana, asked, words="350 NIS, and 400 at night.")
    await shop.settle()

    assert shop.phone.texts == ["350 NIS, and 400 at night."]
    assert await shop.look("SELECT details ->> 'edited_by' FROM message WHERE client_key <> ''") == "Dana"


async def test_a_discarded_suggestion_is_never_sent(shop, asked, dana):
    async with shop.engine.api.transaction(BUSINESS) as session:
        await messaging.discard(session, dana, asked)

    assert await approve(shop, dana, asked) is None
    await shop.settle()
    assert shop.phone.texts == []


async def test_a_newer_message_makes_a_suggestion_stale(shop, asked, dana):
    await shop.deliver(shop.says("Never mind, I found the key"))

    await shop.settle()

    assert await approve(shop, dana, asked) is None
    assert shop.phone.texts == []


async def test_a_person_who_answered_makes_a_suggestion_stale(shop, asked, dana):
    await write(shop)
    await shop.settle()

    assert await approve(shop, dana, asked) is None
    assert shop.phone.texts == ["Hello, this is Dana"]


async def test_approving_is_no_takeover(shop, asked, dana):
    await approve(shop, dana, asked)
    await shop.engine.look.execute("UPDATE conversation SET needs_approval = NULL")

    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    assert shop.phone.texts == [PRICE, PRICE]


async def test_another_business_decides_nothing(shop, asked, dana):
    stranger = Decider(9, dana.user_id, "Noa")

    async with shop.engine.api.transaction(9) as session:
        assert await messaging.approve(session, stranger, asked) is None
    await shop.settle()
    assert shop.phone.texts == []
