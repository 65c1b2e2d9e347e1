"""People see the truth of an answer that was given up, or whose sending was settled after its run."""

from __future__ import annotations

import pytest

from server.domains import messaging
from server.domains.messaging.rules import GIVEN_UP, NOBODY_KNOWS, NOT_GONE_OUT
from server.errors import ProviderDownError, ProviderUnknownError
from server.queue import EffectState
from server.queue.ledger import Outcome
from server.queue.operators import Operators, Selection
from tests.domains.messaging.conftest import PRICE, PRICE_QUESTION, Model

ENDED = ("failed", "quarantined", "expired", "cancelled")


def operators(shop):
    return Operators(shop.engine.scheduler, shop.engine.redis, actor="op")


async def job_of(shop, event_id):
    return await shop.look("SELECT id FROM job WHERE payload ->> 'event_id' = $1", str(event_id))


async def cancel(shop, event_id):
    await operators(shop).cancel(await job_of(shop, event_id), reason="not needed")


async def run_again(shop):
    return await operators(shop).run_again(Selection(states=ENDED), reason="meant after all", even_sent=True)


async def end(shop, event_id, state):
    """End a job as faults do, whatever it was at."""
    await shop.engine.look.execute(
        "UPDATE job SET state = $2, finished_at = now(), lease_until = NULL"
        " WHERE payload ->> 'event_id' = $1",
        *(str(event_id), state),
    )


async def drafted(shop):
    """Leave a message with a recorded answer that was not sent yet, its job waiting to try again."""
    shop.phone.answers = [ProviderDownError("WhatsApp is not connected")]
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    run = await shop.claim(event_id)
    with pytest.raises(ProviderDownError):
        await messaging.process_event(run, event_id)
    await shop.end(run, Outcome.RETRY)
    shop.phone.sent.clear()
    return event_id


async def unknown(shop):
    """Leave a message of whose answer nobody knows whether it was sent, its job done."""
    shop.phone.answers = [ProviderUnknownError("timed out")]
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    assert [status for _, status in await shop.replies()] == ["unknown"]
    return event_id


async def answer(shop):
    [row] = await shop.rows("SELECT status, status_reason FROM message WHERE author = 'assistant'")
    return row


async def effect(shop):
    return await shop.look("SELECT state FROM effect")


async def needs_person(shop):
    return await shop.look("SELECT needs_person FROM conversation")


async def everything(shop):
    return [
        await shop.rows(f"SELECT * FROM {table} ORDER BY 1")
        for table in ("message", "conversation", "inbox_event", "effect", "contact", "lead")
    ]


@pytest.mark.parametrize("state", ENDED)
async def test_a_message_that_nobody_looked_at_is_kept_and_waits_for_a_person(shop, state):
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    await end(shop, event_id, state)
    await shop.settle()

    assert await shop.rows("SELECT author, text FROM message") == [("customer", PRICE_QUESTION)]
    assert await needs_person(shop)
    assert await shop.events() == [("stored", GIVEN_UP[state])]
    assert shop.phone.sent == []


@pytest.mark.parametrize("state", ENDED)
async def test_an_answer_that_was_not_sent_shows_that_it_was_given_up(shop, state):
    event_id = await drafted(shop)
    await end(shop, event_id, state)
    await shop.settle()

    assert await answer(shop) == ("failed", GIVEN_UP[state])
    assert await effect(shop) == "abandoned"
    assert await needs_person(shop)
    assert shop.phone.sent == []


async def test_a_second_time_changes_nothing(shop):
    event_id = await drafted(shop)
    await cancel(shop, event_id)
    await shop.settle()
    before = await everything(shop)
    assert (await answer(shop))[0] == "failed"
    assert await shop.look("SELECT count(*) FROM job WHERE kind = 'job_given_up_job'") == 1

    await shop.engine.look.execute(
        "UPDATE job SET state = 'ready', due_at = now() WHERE kind = 'job_given_up_job'"
    )
    await shop.settle()

    assert await everything(shop) == before


async def test_a_given_up_event_is_forgotten_in_time_and_one_that_waits_is_not(shop):
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    await cancel(shop, event_id)
    await shop.settle()
    [waiting] = await shop.deliver(shop.says("And on Sunday?"))
    await shop.engine.look.execute("UPDATE inbox_event SET received_at = now() - interval '31 days'")
    run = await shop.claim(waiting)

    assert await messaging.forget_old_events(run, older_than_days=30, limit=100) == 1
    assert await shop.rows("SELECT id FROM inbox_event") == [(waiting,)]
    assert await shop.rows("SELECT text FROM message") == [(PRICE_QUESTION,)]


async def test_a_cancelled_answer_that_is_run_again_goes_out_once(shop):
    event_id = await drafted(shop)
    await cancel(shop, event_id)
    await shop.settle()
    assert (await answer(shop))[0] == "failed"
    assert await run_again(shop) == 1
    await shop.settle()

    assert shop.phone.texts == [text for text, _ in await shop.replies()]
    assert (await answer(shop), await effect(shop)) == (("sent", None), "sent")
    assert await shop.events() == [("done", None)]

    assert await run_again(shop) == 0
    assert len(shop.phone.sent) == 1


async def test_a_cancelled_message_that_was_not_looked_at_is_answered_when_it_is_run_again(shop):
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    await cancel(shop, event_id)
    await shop.settle()
    assert await needs_person(shop)
    await run_again(shop)
    await shop.settle()

    assert [PRICE in text for text in shop.phone.texts] == [True]
    assert await shop.look("SELECT count(*) FROM message") == 2
    assert await shop.events() == [("done", None)]


async def test_a_job_made_ready_again_before_its_aftermath_is_not_spoilt(shop):
    event_id = await drafted(shop)
    await cancel(shop, event_id)
    await run_again(shop)
    run = await shop.claim(event_id)
    await shop.settle()
    assert await answer(shop) == ("queued", None)

    await messaging.process_event(run, event_id)

    assert len(shop.phone.sent) == 1
    assert (await answer(shop), await effect(shop)) == (("sent", None), "sent")
    assert not await needs_person(shop)


async def test_cancelled_run_again_and_cancelled_again_is_given_up_again(shop):
    event_id = await drafted(shop)
    for _ in range(2):
        await cancel(shop, event_id)
        await shop.settle()
        assert (await answer(shop))[0] == "failed"
        await run_again(shop)
    await shop.settle()

    assert len(shop.phone.sent) == 1


async def test_a_reply_in_the_middle_of_its_sending_is_unknown(shop):
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    run = await shop.claim(event_id)

    async def die():
        await end(shop, event_id, "quarantined")
        await shop.settle()

    shop.phone.before_answer = die
    with pytest.raises(Exception, match="no longer held"):
        await messaging.process_event(run, event_id)
    assert (await answer(shop))[0] == "unknown"
    assert await needs_person(shop)

    # The provider's answer reached the process that was thought dead: that is evidence.
    await shop.settle()
    assert (await answer(shop), await effect(shop)) == (("sent", None), "sent")
    assert await shop.events() == [("done", None)]
    assert await shop.look("SELECT provider_id FROM message WHERE author = 'assistant'") == "OURS1"
    assert len(shop.phone.sent) == 1


async def test_a_message_that_a_newer_one_is_answered_for_needs_nobody(shop):
    first, _ = await shop.deliver(shop.says("Hi"), shop.says(PRICE_QUESTION))
    await end(shop, first, "quarantined")
    # The given up one first: stored after the answer to the newer one, it would have come late.
    await shop.engine.look.execute("UPDATE job SET due_at = 'infinity' WHERE kind = 'webhook_process_job'")
    await shop.settle()
    await shop.engine.look.execute("UPDATE job SET due_at = now() WHERE kind = 'webhook_process_job'")
    await shop.settle()

    assert len(shop.phone.sent) == 1
    assert not await needs_person(shop)
    assert {state for state, _ in await shop.events()} == {"done"}


async def test_a_given_up_message_that_is_stored_late_does_not_silence_a_newer_one(shop):
    first, second = await shop.deliver(shop.says("Hi"), shop.says(PRICE_QUESTION))
    await end(shop, first, "quarantined")
    # While the second is drafted, the first is stored after it.
    shop.model = Model(shop.settle)
    run = await shop.claim(second)
    await messaging.process_event(run, second)

    assert await shop.rows("SELECT text FROM message ORDER BY position") == [
        (PRICE_QUESTION,),
        ("Hi",),
        ("Answer 1.",),
    ]
    assert len(shop.phone.sent) == 1


async def test_a_business_that_answers_itself_is_not_called(shop):
    await shop.engine.look.execute("UPDATE business SET ai_enabled = false")
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    await cancel(shop, event_id)
    await shop.settle()

    assert await shop.look("SELECT state FROM job WHERE kind = 'job_given_up_job'") == "done"
    assert not await needs_person(shop)
    assert [state for state, _ in await shop.events()] == ["done"]
    assert await shop.look("SELECT count(*) FROM message") == 1


async def test_a_receipt_whose_job_was_given_up_is_read_all_the_same(shop):
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    [event_id] = await shop.deliver(shop.receipt("OURS1", 3))
    await cancel(shop, event_id)
    await shop.settle()

    assert (await answer(shop))[0] == "delivered"
    assert not await needs_person(shop)


async def test_the_last_try_that_failed_keeps_what_the_provider_said(shop):
    shop.phone.answers = [ProviderDownError("WhatsApp is not connected")]
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.engine.look.execute("UPDATE job SET attempts = 3")
    await shop.settle()

    assert await shop.engine.state(await job_of(shop, event_id)) == "failed"
    assert await answer(shop) == ("failed", "WhatsApp is not connected")
    assert await effect(shop) == "abandoned"

    await run_again(shop)
    await shop.settle()
    assert await answer(shop) == ("sent", None)


@pytest.mark.parametrize(
    ("state", "shown", "called"),
    [
        (EffectState.CONFIRMED, ("sent", None), False),
        (EffectState.NOT_SENT, ("failed", NOT_GONE_OUT), True),
        (EffectState.ABANDONED, ("failed", NOBODY_KNOWS), True),
    ],
)
async def test_what_an_operator_settles_shows_in_the_conversation(shop, state, shown, called):
    await unknown(shop)
    key = await shop.look("SELECT key FROM effect")
    await operators(shop).settle(key, state, reason="asked the customer")
    await shop.settle()

    assert await answer(shop) == shown
    assert await needs_person(shop) is called
    assert await effect(shop) == state
    assert len(shop.phone.sent) == 1


@pytest.mark.parametrize("state", [EffectState.NOT_SENT, EffectState.ABANDONED])
async def test_a_receipt_wins_over_what_a_person_concluded(shop, state):
    await unknown(shop)
    key = await shop.look("SELECT key FROM effect")
    await shop.deliver(shop.echo((await shop.replies())[0][0], "LATE1"))
    await operators(shop).settle(key, state, reason="guess")
    await shop.settle()
    await shop.deliver(shop.receipt("LATE1", 3))
    await shop.settle()

    assert await answer(shop) == ("delivered", None)
    assert await effect(shop) == "confirmed"
    assert await shop.look("SELECT count(*) FROM message WHERE author = 'person'") == 0


async def test_a_receipt_that_came_before_a_person_settled_is_not_taken_back(shop):
    await unknown(shop)
    await shop.deliver(shop.echo((await shop.replies())[0][0], "LATE1"), shop.receipt("LATE1", 4))
    await shop.settle()
    await shop.engine.look.execute("UPDATE effect SET state = 'unknown'")
    await operators(shop).settle(await shop.look("SELECT key FROM effect"), EffectState.CONFIRMED, reason="x")
    await shop.settle()

    assert await answer(shop) == ("read", None)


async def test_an_effect_whose_job_is_at_work_is_left_to_it(shop):
    await unknown(shop)
    await shop.engine.look.execute(
        "UPDATE job SET state = 'running', lease_until = now() + interval '1 hour' WHERE kind <> 'x'"
    )
    await operators(shop).settle(await shop.look("SELECT key FROM effect"), EffectState.NOT_SENT, reason="x")
    await shop.settle()
    assert (await answer(shop))[0] == "unknown"

    await shop.engine.look.execute(
        "UPDATE job SET state = 'done', due_at = now() WHERE kind = 'webhook_process_job'"
    )
    await shop.engine.look.execute("UPDATE job SET due_at = now() WHERE state = 'ready'")
    await shop.settle()
    assert await answer(shop) == ("failed", NOT_GONE_OUT)


async def test_an_effect_that_is_no_message_s_is_settled_in_peace(shop):
    await shop.engine.look.execute(
        "INSERT INTO effect (key, business_id, provider, state, sending_at)"
        " VALUES ('push:1', 6, 'push', 'unknown', now())"
    )
    await operators(shop).settle("push:1", EffectState.CONFIRMED, reason="seen")
    await shop.settle()

    assert await shop.rows("SELECT kind, state FROM job") == [("effect_settled_job", "done")]
