"""Reminders that come due: raised once each, whatever runs twice, late or at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.domains import reminders
from server.errors import BadInputError
from server.queue.dispatch import live_channel
from tests.domains.reminders.conftest import NOA
from tests.engine import BUSINESS

ALL_RAISED = [(30, "raised"), (15, "raised"), (0, "raised")]


async def reschedule(agenda, reminder_id, in_minutes):
    async with agenda.engine.api.transaction(BUSINESS) as session:
        await reminders.reschedule(session, reminder_id, await agenda.now() + timedelta(minutes=in_minutes))


async def test_a_reminder_is_raised_thirty_and_fifteen_minutes_before_and_when_it_is_due(agenda):
    conversation = await agenda.talk()
    await agenda.set(40, conversation_id=conversation)

    for minutes, calls in ((9, False), (2, False), (15, False), (15, True)):
        await agenda.passes(minutes)
        await agenda.tick()
        assert await agenda.is_called(conversation) is calls

    assert await agenda.logged() == ALL_RAISED


async def test_a_second_run_of_a_tick_raises_nothing(agenda):
    conversation = await agenda.talk()
    await agenda.set(40, conversation_id=conversation)
    await agenda.passes(41)
    await agenda.tick()
    await agenda.look("UPDATE conversation SET needs_person = false WHERE id = $1", conversation)
    logged = await agenda.logged()

    await agenda.again(await agenda.look("SELECT id FROM job"))
    await agenda.tick()

    assert await agenda.logged() == logged
    assert not await agenda.is_called(conversation)


async def test_the_log_alone_keeps_a_reminder_from_being_raised_twice(agenda):
    conversation = await agenda.talk()
    await agenda.set(40, conversation_id=conversation)
    await agenda.passes(41)
    await agenda.tick()
    await agenda.look("UPDATE conversation SET needs_person = false WHERE id = $1", conversation)

    await agenda.look("UPDATE reminder SET raise_at = now() - interval '1 minute'")
    await agenda.tick()

    assert not await agenda.is_called(conversation)


async def test_ticks_at_once_raise_each_reminder_once(agenda):
    for _ in range(25):
        await agenda.set(1)
    await agenda.passes(2)

    await asyncio.gather(*(agenda.tick() for _ in range(4)))

    assert await agenda.look("SELECT count(*) FROM reminder_push_log WHERE state = 'raised'") == 25


async def test_a_late_tick_raises_the_newest_alone_and_the_log_says_so_of_the_others(agenda):
    await agenda.set(40)
    await agenda.passes(41)

    await agenda.tick()

    assert await agenda.logged() == [(30, "skipped"), (15, "skipped"), (0, "raised")]


async def test_a_reminder_that_nobody_looked_at_for_days_is_raised_once_as_overdue(agenda):
    conversation = await agenda.talk()
    await agenda.set(40, conversation_id=conversation)
    await agenda.passes(60 * 24 * 3)

    await agenda.tick()
    await agenda.tick()

    assert (await agenda.logged())[-1] == (0, "overdue")
    assert await agenda.is_called(conversation)


@pytest.mark.parametrize("end", [reminders.complete, reminders.cancel])
async def test_what_was_done_or_cancelled_never_pops_up(agenda, end):
    reminder_id = await agenda.set(40)
    async with agenda.engine.api.transaction(BUSINESS) as session:
        assert await end(session, reminder_id)
        assert not await end(session, reminder_id)
    await agenda.passes(41)

    await agenda.tick()

    assert await agenda.logged() == []


async def test_a_rescheduled_reminder_is_raised_anew_for_its_new_time_and_not_for_the_old_one(agenda):
    reminder_id = await agenda.set(40)
    await agenda.passes(11)
    await agenda.tick()

    await reschedule(agenda, reminder_id, 60)
    for minutes in (31, 15, 15):
        await agenda.passes(minutes)
        await agenda.tick()

    assert await agenda.logged() == [(30, "raised"), *ALL_RAISED]


async def test_one_that_was_due_and_is_put_off_pops_up_again(agenda):
    conversation = await agenda.talk()
    reminder_id = await agenda.set(40, conversation_id=conversation)
    await agenda.passes(41)
    await agenda.tick()
    await agenda.look("UPDATE conversation SET needs_person = false WHERE id = $1", conversation)

    await reschedule(agenda, reminder_id, 10)
    await agenda.tick()
    before = await agenda.is_called(conversation)
    await agenda.passes(11)
    await agenda.tick()

    assert (before, await agenda.is_called(conversation)) == (False, True)


async def test_one_that_is_brought_forward_is_raised_at_its_new_time_and_not_as_it_is_moved(agenda):
    reminder_id = await agenda.set(600)
    await agenda.passes(60)

    await reschedule(agenda, reminder_id, 20)
    for minutes in (0, 6):
        await agenda.passes(minutes)
        await agenda.tick()

    assert await agenda.logged() == [(30, "skipped"), (15, "raised")]


async def test_what_is_to_be_looked_at_too_early_is_looked_at_again(agenda):
    await agenda.set(40)
    await agenda.look("UPDATE reminder SET raise_at = now()")

    for minutes in (0, 11):
        await agenda.passes(minutes)
        await agenda.tick()

    assert await agenda.logged() == [(30, "raised")]


async def test_one_that_somebody_completes_at_this_moment_is_left_to_them(agenda):
    reminder_id = await agenda.set(40)
    await agenda.passes(41)

    async with agenda.engine.api.transaction(BUSINESS) as session:
        await reminders.complete(session, reminder_id)
        await agenda.tick()
    await agenda.tick()

    assert await agenda.logged() == []


async def test_more_than_one_transaction_s_worth_is_raised_in_one_run(agenda):
    await agenda.look(
        "INSERT INTO reminder (business_id, text, due_at, raise_at, made_by)"
        " SELECT 6, 'x', now(), now(), 'Dana' FROM generate_series(1, 230)"
    )

    await agenda.tick()

    assert await agenda.look("SELECT count(*) FROM reminder WHERE raise_at IS NULL") == 230


async def test_open_pages_hear_of_a_conversation_that_calls_for_a_person(agenda):
    conversation = await agenda.talk()
    await agenda.set(40, conversation_id=conversation)
    await agenda.passes(41)

    async with agenda.engine.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(live_channel(BUSINESS))
        silences = 0
        while silences < 3:
            # Hints of what was before may still be on their way.
            silences = 0 if await pubsub.get_message(timeout=0.2) else silences + 1
        await agenda.tick()
        async with asyncio.timeout(10):
            async for heard in pubsub.listen():
                if str(conversation).encode() in heard["data"]:
                    break


async def test_a_due_time_that_has_been_by_the_database_s_clock_is_refused(agenda):
    with pytest.raises(BadInputError) as refused:
        await agenda.set(0)

    assert refused.value.code == "due_in_past"


async def test_a_reminder_about_another_business_s_conversation_is_refused(agenda):
    with pytest.raises(BadInputError) as refused:
        await agenda.set(40, conversation_id=await agenda.talk(NOA))

    assert refused.value.code == "no_such_subject"


async def test_an_ended_reminder_cannot_be_moved(agenda):
    reminder_id = await agenda.set(40)
    async with agenda.engine.api.transaction(BUSINESS) as session:
        await reminders.complete(session, reminder_id)
        with pytest.raises(BadInputError) as refused:
            await reminders.reschedule(session, reminder_id, await agenda.now() + timedelta(hours=2))

    assert refused.value.code == "reminder_ended"


async def test_noa_neither_moves_nor_ends_dana_s_reminder(agenda):
    reminder_id = await agenda.set(40)
    async with agenda.engine.api.transaction(NOA) as session:
        assert not await reminders.complete(session, reminder_id)
        assert not await reminders.cancel(session, reminder_id)
        with pytest.raises(BadInputError) as refused:
            await reminders.reschedule(session, reminder_id, await agenda.now() + timedelta(hours=2))

    assert refused.value.code == "no_such_reminder"
    assert await agenda.look("SELECT state FROM reminder") == "open"
