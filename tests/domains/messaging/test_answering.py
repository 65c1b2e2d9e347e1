"""A customer's message gets one answer, and none where a person or a newer message comes first."""

from __future__ import annotations

import asyncio

import pytest

from server.domains import messaging
from server.errors import LeaseLostError, ProviderDownError, ProviderRefusedError, ProviderUnknownError
from server.queue.ledger import Outcome
from tests.domains.messaging.conftest import MAYA, MAYA_BY_LID, PRICE, PRICE_QUESTION, SECRET, TENANT, Model


async def test_a_first_message_makes_contact_lead_and_conversation_and_is_answered(shop):
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    [(to, text, key)] = shop.phone.sent
    question_id = await shop.look("SELECT id FROM message WHERE author = 'customer'")
    assert (to, key) == (MAYA.jid, f"reply:{question_id}")
    assert PRICE in text
    assert await shop.replies() == [(text, "sent")]
    assert await shop.rows(
        "SELECT name, stage, source FROM contact JOIN lead ON contact_id = contact.id"
    ) == [("Maya", "new", "whatsapp")]
    assert await shop.events() == [("done", None)]
    assert await shop.look("SELECT title FROM knowledge_entry") in str(
        await shop.look("SELECT sources FROM message WHERE author = 'assistant'")
    )


async def test_the_provider_is_given_the_business_own_account(shop):
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    [account] = shop.phone.accounts
    assert (account.base_url, account.secret, account.tenant) == ("http://bridge.test", SECRET, TENANT)


async def test_an_event_handled_again_changes_nothing(shop):
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.handle(event_id)
    before = await shop.rows("SELECT * FROM message ORDER BY position")

    await messaging.process_event(await shop.again(event_id), event_id)

    assert await shop.rows("SELECT * FROM message ORDER BY position") == before
    assert len(shop.phone.sent) == 1


async def test_three_quick_messages_get_one_answer(shop):
    await shop.deliver(shop.says("Hi"), shop.says("One question"), shop.says(PRICE_QUESTION))
    await shop.settle()

    assert [PRICE in text for text in shop.phone.texts] == [True]
    assert await shop.look("SELECT count(*) FROM message WHERE author = 'customer'") == 3


async def test_a_reaction_behind_a_question_does_not_silence_it(shop):
    await shop.deliver(
        shop.says(PRICE_QUESTION),
        shop.says("", reactionMessage={"key": {"id": "OTHER"}, "text": "👍"}),
    )
    await shop.settle()

    assert len(shop.phone.sent) == 1


@pytest.mark.parametrize(
    "off", ["UPDATE business SET ai_enabled = false", "UPDATE conversation SET ai_enabled = false"]
)
async def test_an_assistant_that_is_off_stays_silent(shop, off):
    [first] = await shop.deliver(shop.says("Hello"))
    await shop.handle(first)
    shop.phone.sent.clear()
    await shop.engine.look.execute(off)

    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    assert shop.phone.sent == []
    assert await shop.look("SELECT count(*) FROM message WHERE author = 'customer'") == 2


async def test_a_draft_is_dropped_when_the_assistant_was_turned_off_meanwhile(shop):
    async def turn_off():
        await shop.engine.look.execute("UPDATE conversation SET ai_enabled = false")

    shop.model = Model(turn_off)
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    assert (shop.phone.sent, await shop.replies()) == ([], [])
    assert await shop.look("SELECT count(*) FROM effect") == 0


async def test_a_draft_is_dropped_when_the_customer_wrote_again_from_another_address(shop):
    async def write_again():
        if len(shop.model.asked) == 1:
            [event_id] = await shop.deliver(shop.says(PRICE_QUESTION, who=MAYA_BY_LID))
            await shop.handle(event_id)

    shop.model = Model(write_again)
    [first] = await shop.deliver(shop.says("How much is it to open a door?"))
    await shop.handle(first)

    assert shop.phone.texts == ["Answer 2."]
    assert shop.phone.sent[0][0] == MAYA_BY_LID.jid
    assert await shop.look("SELECT count(*) FROM conversation") == 1


async def test_a_draft_is_dropped_when_a_person_wrote_meanwhile(shop):
    async def type_on_the_phone():
        await shop.deliver(shop.echo("I am calling you now", "PERSON1"))

    shop.model = Model(type_on_the_phone)
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    assert shop.phone.sent == []
    assert await shop.look("SELECT ai_paused_until > now() + interval '29 minutes' FROM conversation")


async def test_a_customer_who_was_told_to_wait_is_not_told_again(shop):
    for text in ("Do you sell pianos?", "Well, do you sell pianos?"):
        await shop.deliver(shop.says(text))
        await shop.settle()

    assert len(shop.phone.sent) == 1
    assert await shop.look("SELECT needs_person FROM conversation")

    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    assert PRICE in shop.phone.texts[-1]


async def test_a_bridge_that_is_away_gets_the_same_reply_on_the_next_try(shop):
    shop.phone.answers = [ProviderDownError("WhatsApp is not connected")]
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    run = await shop.claim(event_id)
    with pytest.raises(ProviderDownError):
        await messaging.process_event(run, event_id)
    await shop.end(run, Outcome.RETRY)
    assert [status for _, status in await shop.replies()] == ["queued"]

    await shop.handle(event_id)

    assert shop.phone.sent[0] == shop.phone.sent[1]
    assert [status for _, status in await shop.replies()] == ["sent"]


async def test_the_last_try_that_fails_is_shown_to_people(shop):
    shop.phone.answers = [ProviderDownError("WhatsApp is not connected")]
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.engine.look.execute("UPDATE job SET attempts = 3")
    run = await shop.claim(event_id)

    with pytest.raises(ProviderDownError):
        await messaging.process_event(run, event_id)

    shown = await shop.rows("SELECT status, status_reason FROM message WHERE author = 'assistant'")
    assert shown == [("failed", "WhatsApp is not connected")]
    assert await shop.look("SELECT needs_person FROM conversation")


async def test_a_failed_reply_that_is_asked_for_again_is_sent_once(shop):
    shop.phone.answers = [ProviderDownError("WhatsApp is not connected")]
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.engine.look.execute("UPDATE job SET attempts = 3")
    run = await shop.claim(event_id)
    with pytest.raises(ProviderDownError):
        await messaging.process_event(run, event_id)
    await shop.end(run, Outcome.FAILED)

    await messaging.process_event(await shop.again(event_id), event_id)

    assert await shop.rows("SELECT status, status_reason FROM message WHERE author = 'assistant'") == [
        ("sent", None)
    ]


async def test_a_reply_that_waits_is_called_off_when_the_customer_writes_again(shop):
    shop.phone.answers = [ProviderDownError("WhatsApp is not connected")]
    [first] = await shop.deliver(shop.says("How much to open a door?"))
    run = await shop.claim(first)
    with pytest.raises(ProviderDownError):
        await messaging.process_event(run, first)
    await shop.end(run, Outcome.RETRY)
    await shop.deliver(shop.says(PRICE_QUESTION))

    await shop.settle()

    assert len(shop.phone.sent) == 2
    assert await shop.rows("SELECT state FROM effect ORDER BY planned_at") == [("abandoned",), ("sent",)]
    assert len(await shop.replies()) == 1


async def test_a_refused_reply_is_failed_with_what_the_provider_said(shop):
    shop.phone.answers = [ProviderRefusedError("the bridge cannot send to this number")]
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    shown = await shop.rows("SELECT status, status_reason FROM message WHERE author = 'assistant'")
    assert shown == [("failed", "the bridge cannot send to this number")]
    assert await shop.look("SELECT state FROM job") == "done"


async def test_a_reply_nobody_knows_about_is_not_sent_again(shop):
    shop.phone.answers = [ProviderUnknownError("timed out")]
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.handle(event_id)

    await messaging.process_event(await shop.again(event_id), event_id)

    assert [status for _, status in await shop.replies()] == ["unknown"]
    assert len(shop.phone.sent) == 1


async def test_a_worker_that_dies_after_sending_does_not_send_again(shop):
    died = asyncio.Event()

    async def stop_there():
        died.set()
        await asyncio.Event().wait()

    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    shop.phone.before_answer = stop_there
    working = asyncio.create_task(messaging.process_event(await shop.claim(event_id), event_id))
    await died.wait()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    shop.phone.before_answer = None

    await messaging.process_event(await shop.again(event_id), event_id)

    assert len(shop.phone.sent) == 1
    assert [status for _, status in await shop.replies()] == ["unknown"]


async def test_a_worker_that_dies_after_drafting_leaves_its_draft_to_the_next(shop):
    async def nothing():
        return

    shop.model = Model(nothing)
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    run = await shop.claim(event_id)
    run.trusted_until = 0
    with pytest.raises(LeaseLostError):
        await messaging.process_event(run, event_id)
    assert [status for _, status in await shop.replies()] == ["queued"]

    await messaging.process_event(await shop.again(event_id), event_id)

    assert (shop.phone.texts, len(shop.model.asked)) == (["Answer 1."], 1)


async def test_twenty_first_messages_of_one_person_at_once_make_one_of_everything(shop):
    for number in range(20):
        who = MAYA if number % 2 else MAYA_BY_LID
        await shop.deliver(shop.says(PRICE_QUESTION, who=who), lane=f"lane{number}")

    await shop.settle()

    counts = await shop.rows(
        "SELECT (SELECT count(*) FROM contact), (SELECT count(*) FROM conversation),"
        " (SELECT count(*) FROM lead), (SELECT count(*) FROM conversation_session),"
        " (SELECT count(*) FROM message WHERE author = 'customer')"
    )
    assert counts == [(1, 1, 1, 1, 20)]
    newest = await shop.look(
        "SELECT id FROM message WHERE author = 'customer' ORDER BY position DESC LIMIT 1"
    )
    assert shop.phone.sent[-1][2] == f"reply:{newest}"
