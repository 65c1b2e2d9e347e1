"""Somebody looks at an answer of which nobody found out whether it went out."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.domains import messaging
from server.domains.messaging.rules import DOUBT, NOBODY_KNOWS
from server.errors import ProviderUnknownError
from server.queue import EffectState, enqueue
from server.queue.catalog import ReplyDoubted
from server.queue.operators import Operators
from tests.domains.messaging.conftest import PRICE_QUESTION

KIND = "reply_doubted_job"
OTHER_BUSINESS = 9


async def doubted(shop):
    """Leave a message of whose answer nobody knows whether it was sent, its job done."""
    shop.phone.answers = [ProviderUnknownError("timed out")]
    [event_id] = await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    assert await answers(shop) == [("unknown", "timed out")]
    return event_id


async def wait(shop):
    """Let the time pass after which somebody looks."""
    await shop.engine.look.execute(
        "UPDATE job SET due_at = due_at - $2::interval WHERE kind = $1 AND state = 'ready'",
        *(KIND, DOUBT + timedelta(seconds=1)),
    )
    await shop.settle()


async def handle_again(shop, event_id):
    """Run an event's job as if it had not been dealt with, as nothing but a fault would."""
    await shop.engine.look.execute("UPDATE inbox_event SET state = 'stored' WHERE id = $1", event_id)
    run = await shop.again(event_id)
    await messaging.process_event(run, event_id)
    await shop.end(run)


async def look_again(shop):
    await shop.engine.look.execute("UPDATE job SET state = 'ready', due_at = now() WHERE kind = $1", KIND)
    await shop.settle()


async def answers(shop):
    return await shop.rows(
        "SELECT status, status_reason FROM message WHERE author = 'assistant' ORDER BY position"
    )


async def needs_person(shop):
    return await shop.look("SELECT needs_person FROM conversation")


async def looks(shop):
    return [state for (state,) in await shop.rows("SELECT state FROM job WHERE kind = $1 ORDER BY seq", KIND)]


async def everything(shop):
    return [
        await shop.rows(f"SELECT * FROM {table} ORDER BY 1")
        for table in ("message", "conversation", "inbox_event", "effect", "contact", "lead")
    ]


@pytest.mark.fault("F20")
async def test_a_person_is_called_to_an_answer_that_nothing_settles(shop):
    await doubted(shop)
    assert (await looks(shop), await needs_person(shop)) == (["ready"], False)

    await wait(shop)

    assert await looks(shop) == ["done"]
    assert await needs_person(shop)
    assert await answers(shop) == [("unknown", NOBODY_KNOWS)]
    assert await shop.look("SELECT state FROM effect") == "unknown"
    assert len(shop.phone.sent) == 1


@pytest.mark.fault("F20")
async def test_a_person_is_called_to_an_answer_whose_process_died_in_its_sending(shop):
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
    await messaging.process_event(await shop.again(event_id), event_id)

    await wait(shop)

    assert await needs_person(shop)
    assert await answers(shop) == [("unknown", NOBODY_KNOWS)]
    assert len(shop.phone.sent) == 1


async def test_nobody_is_called_before_receipts_have_had_their_time(shop):
    await doubted(shop)

    left = await shop.look("SELECT due_at - now() FROM job WHERE kind = $1", KIND)
    assert DOUBT - timedelta(minutes=1) < left <= DOUBT


async def test_nobody_is_called_to_an_answer_that_went_out(shop):
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    assert (await answers(shop), await looks(shop)) == ([("sent", None)], [])


async def test_nobody_is_called_when_a_receipt_came_meanwhile(shop):
    await doubted(shop)
    await shop.deliver(shop.echo((await shop.replies())[0][0], "LATE1"), shop.receipt("LATE1", 3))
    await shop.settle()

    await wait(shop)

    assert await looks(shop) == ["done"]
    assert not await needs_person(shop)
    assert await answers(shop) == [("delivered", None)]


async def test_a_receipt_that_comes_after_the_call_is_shown_all_the_same(shop):
    await doubted(shop)
    await wait(shop)
    await shop.deliver(shop.echo((await shop.replies())[0][0], "LATE1"), shop.receipt("LATE1", 3))
    await shop.settle()

    assert await answers(shop) == [("delivered", None)]
    assert await shop.look("SELECT state FROM effect") == "confirmed"


async def test_nobody_is_called_when_a_person_wrote_meanwhile(shop):
    await doubted(shop)
    await shop.deliver(shop.echo("I am on my way", "OWNER1"))
    await shop.settle()

    await wait(shop)

    assert not await needs_person(shop)
    assert await answers(shop) == [("unknown", "timed out")]


async def test_nobody_is_called_when_a_later_answer_went_out(shop):
    await doubted(shop)
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    await wait(shop)

    assert not await needs_person(shop)
    assert await answers(shop) == [("unknown", "timed out"), ("sent", None)]


async def test_a_person_is_called_when_the_later_answer_is_in_doubt_as_well(shop):
    await doubted(shop)
    shop.phone.answers = [ProviderUnknownError("timed out")]
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    await wait(shop)

    assert await looks(shop) == ["done", "done"]
    assert await needs_person(shop)
    assert await answers(shop) == [("unknown", NOBODY_KNOWS)] * 2


async def test_a_person_is_called_when_the_customer_alone_wrote_again(shop):
    await doubted(shop)
    await shop.engine.look.execute("UPDATE business SET ai_enabled = false")
    await shop.deliver(shop.says("Hello?"))
    await shop.settle()

    await wait(shop)

    assert await needs_person(shop)


async def test_looking_a_second_time_changes_nothing(shop):
    await doubted(shop)
    await wait(shop)
    await shop.engine.look.execute("UPDATE conversation SET needs_person = false")
    before = await everything(shop)

    await look_again(shop)

    assert await everything(shop) == before


async def test_an_answer_that_is_found_in_doubt_twice_is_looked_at_once(shop):
    event_id = await doubted(shop)
    await handle_again(shop, event_id)
    assert await looks(shop) == ["ready"]

    await wait(shop)

    assert await looks(shop) == ["done"]
    assert len(shop.phone.sent) == 1


async def test_a_second_sending_that_ends_in_doubt_is_looked_at_anew(shop):
    event_id = await doubted(shop)
    operators = Operators(shop.engine.scheduler, shop.engine.redis, actor="op")
    key = await shop.look("SELECT key FROM effect")
    await operators.settle(key, EffectState.NOT_SENT, reason="asked the customer")
    await shop.settle()
    await shop.engine.look.execute("UPDATE conversation SET needs_person = false")

    shop.phone.answers = [ProviderUnknownError("timed out")]
    await handle_again(shop, event_id)
    assert (len(shop.phone.sent), await looks(shop)) == (2, ["ready", "ready"])
    first = await shop.look(
        "SELECT id FROM job WHERE kind = 'reply_doubted_job' AND payload ->> 'tries' = '1'"
    )
    await shop.engine.look.execute("UPDATE job SET due_at = now() WHERE id = $1", first)
    await shop.settle()
    # The first look is not about this sending, whose own time has not come.
    assert (await looks(shop), await needs_person(shop)) == (["done", "ready"], False)

    await wait(shop)

    assert await looks(shop) == ["done", "done"]
    assert await needs_person(shop)
    assert await answers(shop) == [("unknown", NOBODY_KNOWS)]


async def test_another_business_cannot_touch_it(shop):
    await doubted(shop)
    await shop.engine.look.execute("DELETE FROM job WHERE kind = $1", KIND)
    before = await everything(shop)
    key, tries = (await shop.rows("SELECT key, tries FROM effect"))[0]
    async with shop.engine.worker.transaction(OTHER_BUSINESS) as session:
        await enqueue(session, ReplyDoubted(key, tries), business_id=OTHER_BUSINESS)
    await shop.settle()

    assert await looks(shop) == ["done"]
    assert await everything(shop) == before
