"""A person answers from the inbox: once, in order, instead of the assistant, and seeing what became of it."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from server.domains import messaging
from server.domains.messaging import Letter
from server.errors import (
    BadInputError,
    ProviderDownError,
    ProviderRefusedError,
    ProviderUnknownError,
    Refusal,
)
from server.ports import EventKind
from tests.domains.messaging.conftest import PRICE, PRICE_QUESTION, Model
from tests.engine import BUSINESS

HELLO = "Hello, this is Dana"


async def conversation_of(shop):
    return await shop.look("SELECT id FROM conversation")


async def write(shop, text=HELLO, *, client_key=None, **how) -> UUID:
    """Ask as the inbox page does."""
    letter = Letter(
        business_id=BUSINESS,
        conversation_id=how.pop("conversation_id", None) or await conversation_of(shop),
        client_key=client_key or str(uuid4()),
        text=text,
        **how,
    )
    async with shop.engine.api.transaction(BUSINESS) as session:
        return await messaging.ask_to_send(session, letter)


async def met(shop):
    """A customer who wrote and was answered; returns their conversation."""
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    assert shop.phone.texts == [PRICE]
    shop.phone.sent.clear()
    return await conversation_of(shop)


async def last(shop):
    [row] = await shop.rows(
        "SELECT author, status, status_reason FROM message WHERE direction = 'out'"
        " ORDER BY position DESC LIMIT 1"
    )
    return row


async def again(shop, message_id, **how):
    async with shop.engine.api.transaction(BUSINESS, user_id=await member(shop)) as session:
        return await messaging.send_again(session, BUSINESS, message_id, **how)


async def member(shop):
    return await shop.look(
        "WITH made AS (INSERT INTO user_account (email, name) VALUES ($1, 'Dana') RETURNING id)"
        " INSERT INTO membership (business_id, user_id) SELECT 6, id FROM made RETURNING user_id",
        f"{uuid4().hex}@example.com",
    )


async def test_what_a_person_writes_goes_to_the_address_that_the_customer_wrote_from(shop):
    await met(shop)

    message_id = await write(shop)
    await shop.settle()

    [(to, text, key)] = shop.phone.sent
    assert (to, text, key) == ("972501234567@s.whatsapp.net", HELLO, f"message:{message_id}")
    assert await last(shop) == ("person", "sent", None)


async def test_the_same_letter_twice_at_once_is_one_message(shop):
    conversation_id = await met(shop)

    clicks = (write(shop, client_key="one click", conversation_id=conversation_id) for _ in range(5))
    ids = await asyncio.gather(*clicks)
    await shop.settle()

    assert len(set(ids)) == 1
    assert shop.phone.texts == [HELLO]


async def test_other_words_under_a_key_that_was_used_are_refused_and_not_swallowed(shop):
    await met(shop)
    await write(shop, client_key="one click")

    with pytest.raises(BadInputError) as refused:
        await write(shop, "Something else", client_key="one click")

    assert refused.value.code == "key_reused"
    await shop.settle()
    assert shop.phone.texts == [HELLO]


async def test_the_assistant_leaves_the_conversation_to_who_wrote_until_it_is_resumed(shop):
    conversation_id = await met(shop)
    await write(shop)
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    assert shop.phone.texts == [HELLO]

    async with shop.engine.api.transaction(BUSINESS) as session:
        await messaging.resume(session, BUSINESS, conversation_id)
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    assert shop.phone.texts == [HELLO, PRICE]


async def test_a_draft_in_the_making_is_dropped_for_what_a_person_writes(shop):
    conversation_id = await met(shop)
    shop.model = Model(lambda: write(shop, conversation_id=conversation_id, client_key="meanwhile"))

    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    assert shop.phone.texts == [HELLO]


async def test_letters_of_one_conversation_keep_their_order_though_the_first_must_wait(shop):
    await met(shop)
    shop.phone.answers = [ProviderDownError("WhatsApp is not connected")]
    await write(shop, "first")
    await write(shop, "second")

    await shop.settle()
    await shop.engine.look.execute("UPDATE job SET due_at = now() WHERE state = 'ready'")
    await shop.settle()

    assert shop.phone.texts == ["first", "first", "second"]
    statuses = await shop.rows("SELECT text, status FROM message WHERE author = 'person' ORDER BY position")
    assert statuses == [("first", "sent"), ("second", "sent")]


async def test_a_refused_letter_says_why_and_may_be_sent_again(shop):
    await met(shop)
    shop.phone.answers = [ProviderRefusedError("the number is not on WhatsApp")]
    message_id = await write(shop)
    await shop.settle()
    assert await last(shop) == ("person", "failed", "the number is not on WhatsApp")

    assert await again(shop, message_id)
    assert not await again(shop, message_id)
    await shop.settle()

    assert await last(shop) == ("person", "sent", None)
    assert shop.phone.texts == [HELLO, HELLO]


async def test_a_letter_of_which_nobody_knows_is_sent_again_only_when_meant(shop):
    await met(shop)
    shop.phone.answers = [ProviderUnknownError("timed out")]
    message_id = await write(shop)
    await shop.settle()
    assert (await last(shop))[1] == "unknown"

    assert not await again(shop, message_id)
    assert await again(shop, message_id, though_unknown=True)
    await shop.settle()

    assert shop.phone.texts == [HELLO, HELLO]
    assert (await last(shop))[1] == "sent"
    states = await shop.rows("SELECT state FROM effect WHERE key LIKE 'message:%' ORDER BY key")
    assert states == [("abandoned",), ("sent",)]


async def test_a_person_may_say_that_it_went_out(shop):
    await met(shop)
    shop.phone.answers = [ProviderUnknownError("timed out")]
    message_id = await write(shop)
    await shop.settle()

    async with shop.engine.api.transaction(BUSINESS, user_id=await member(shop)) as session:
        assert await messaging.mark_sent(session, BUSINESS, message_id)
    await shop.settle()

    assert (await last(shop))[1] == "sent"
    assert shop.phone.texts == [HELLO]


async def test_a_letter_whose_job_was_given_up_says_so_and_calls_a_person(shop):
    await met(shop)
    await write(shop)
    await shop.engine.look.execute(
        "UPDATE job SET state = 'cancelled', finished_at = now() WHERE kind = 'message_send_job'"
    )

    await shop.settle()

    assert await last(shop) == ("person", "failed", messaging.GIVEN_UP["cancelled"])
    assert await shop.look("SELECT needs_person FROM conversation")
    assert shop.phone.sent == []


async def test_a_second_run_of_a_letters_job_sends_nothing(shop):
    await met(shop)
    await write(shop)
    await shop.settle()

    await shop.engine.look.execute(
        "UPDATE job SET state = 'ready', due_at = now() WHERE kind = 'message_send_job'"
    )
    await shop.settle()

    assert shop.phone.texts == [HELLO]


async def test_an_account_that_is_held_loses_no_letter(shop):
    await met(shop)
    shop.phone.answers = [ProviderRefusedError("the token expired", meaning=Refusal.CREDENTIALS, code="190")]
    await write(shop)
    await shop.settle()

    assert await last(shop) == ("person", "queued", None)
    assert await shop.rows("SELECT state, attempts FROM job WHERE kind = 'message_send_job'") == [
        ("ready", 0)
    ]


async def test_an_echo_of_a_letter_is_no_takeover_on_the_phone(shop):
    conversation_id = await met(shop)
    await write(shop)
    await shop.settle()
    async with shop.engine.api.transaction(BUSINESS) as session:
        await messaging.resume(session, BUSINESS, conversation_id)
    [provider_id] = await shop.rows("SELECT provider_id FROM message WHERE author = 'person'")

    await shop.deliver(shop.echo(HELLO, provider_id[0]))
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    assert shop.phone.texts == [HELLO, PRICE]
    assert await shop.look("SELECT count(*) FROM message WHERE author = 'person'") == 1


async def test_a_letter_of_a_program_takes_nothing_over(shop):
    await met(shop)
    await write(shop, "Your order is ready", author="api")
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    assert shop.phone.texts == ["Your order is ready", PRICE]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"text": " \n"}, "text_missing"),
        ({"text": "x" * 4097}, "text_too_long"),
        ({"kind": EventKind.TEMPLATE}, "template_invalid"),
        ({"kind": EventKind.IMAGE}, "media_missing"),
        ({"kind": EventKind.REACTION}, "message_unknown"),
        ({"quotes": uuid4()}, "message_unknown"),
        ({"conversation_id": uuid4()}, "conversation_unknown"),
    ],
)
async def test_what_cannot_be_sent_is_refused_before_anything_is_stored(shop, how, code):
    await met(shop)

    with pytest.raises(BadInputError) as refused:
        await write(shop, **how)

    assert refused.value.code == code
    assert await shop.look("SELECT count(*) FROM message WHERE author = 'person'") == 0


async def test_another_businesses_conversation_cannot_be_written_to(shop):
    conversation_id = await met(shop)
    letter = Letter(business_id=9, conversation_id=conversation_id, client_key="noa", text="hi")

    with pytest.raises(BadInputError):
        async with shop.engine.api.transaction(9) as session:
            await messaging.ask_to_send(session, letter)
