"""Lines of one burst that come under a phone and a hidden id, in two lanes: one answer to all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from server.domains import messaging
from server.domains.messaging import intake
from tests.domains.messaging.conftest import MAYA, MAYA_BY_LID, PRICE_QUESTION, Model

PHONE_LINES = "SELECT count(*) FROM inbox_event WHERE lane LIKE '%@s.whatsapp.net'"
ANSWERED = """
SELECT line.text FROM message AS answer JOIN message AS line ON line.id = answer.answers_message_id
ORDER BY answer.position
"""
STRANGER = replace(MAYA_BY_LID, phone="972501234568")
PART = """
WITH stranger AS (
    INSERT INTO contact (business_id) SELECT business_id FROM conversation RETURNING id, business_id
), name AS (
    INSERT INTO contact_identity (business_id, contact_id, kind, value)
    SELECT business_id, id, 'phone', '+' || $1 FROM stranger
)
INSERT INTO contact_distinct (business_id, one_id, other_id, said_by)
SELECT stranger.business_id, least(stranger.id, contact_id), greatest(stranger.id, contact_id), 'test'
FROM stranger CROSS JOIN conversation
"""


@pytest.fixture
async def known(shop):
    """Maya has written before, and is known under both her names."""
    await shop.deliver(shop.says("Hello", who=MAYA_BY_LID))
    await shop.settle()
    await shop.engine.look.execute("DELETE FROM message WHERE author = 'assistant'")
    shop.phone.sent.clear()
    return shop


@pytest.mark.parametrize("names", [(MAYA, MAYA_BY_LID), (MAYA_BY_LID, MAYA)], ids=["phone first", "id first"])
@pytest.mark.parametrize("handled", [(0, 1), (1, 0)], ids=["in order", "the newer first"])
async def test_of_two_lines_under_two_names_the_one_that_is_stored_last_is_answered(known, names, handled):
    lines = [
        await known.deliver(known.says(f"{PRICE_QUESTION} {place}", who=who))
        for place, who in enumerate(names)
    ]
    assert await known.look(PHONE_LINES) == 1

    for place in handled:
        [event_id] = lines[place]
        await known.handle(event_id)

    assert await known.rows(ANSWERED) == [(f"{PRICE_QUESTION} {handled[-1]}",)]
    assert len(known.phone.sent) == 1


async def test_two_workers_at_two_lines_a_second_apart_send_one_answer_to_the_newer(known, monkeypatch):
    monkeypatch.setattr(intake, "QUIET", timedelta(seconds=2))
    [older] = await known.deliver(known.says(PRICE_QUESTION))
    [newer] = await known.deliver(known.says(f"{PRICE_QUESTION} Today", who=MAYA_BY_LID))
    await known.engine.look.execute(
        "UPDATE inbox_event SET received_at = now() - interval '2 seconds' WHERE id = $1", older
    )
    await known.engine.look.execute(
        "UPDATE inbox_event SET received_at = now() - interval '1 second' WHERE id = $1", newer
    )

    # The worker of the newer line is busy until the older one is decided: only its job tells of it.
    await known.handle(older)
    await known.handle(newer)

    assert await known.rows(ANSWERED) == [(f"{PRICE_QUESTION} Today",)]
    assert len(known.phone.sent) == 1


async def test_workers_at_both_lanes_at_once_leave_no_line_to_each_other(known):
    for burst in range(5):
        lines = [known.says(f"{PRICE_QUESTION} {burst}", who=who) for who in (MAYA, MAYA_BY_LID)]
        ids = await known.deliver(*lines)
        runs = [await known.claim(event_id) for event_id in ids]
        await asyncio.gather(
            *(messaging.process_event(run, run_id) for run, run_id in zip(runs, ids, strict=True))
        )
        for run in runs:
            await known.end(run)

        assert len(known.phone.sent) == burst + 1


async def test_a_draft_is_dropped_when_a_line_under_the_other_name_waits(known):
    async def write_on() -> None:
        if len(known.model.asked) == 1:
            await known.deliver(known.says("And on Saturday?", who=MAYA_BY_LID))

    known.model = Model(write_on)
    [event_id] = await known.deliver(known.says(PRICE_QUESTION))

    await known.handle(event_id)
    assert known.phone.sent == []
    await known.settle()

    assert known.phone.texts == ["Answer 2."]


async def test_the_second_run_of_a_line_that_was_left_to_the_other_name_sends_nothing(known):
    [older] = await known.deliver(known.says(PRICE_QUESTION))
    await known.deliver(known.says(f"{PRICE_QUESTION} Today", who=MAYA_BY_LID))
    await known.handle(older)
    await known.settle()

    run = await known.again(older)
    await messaging.process_event(run, older)
    await known.end(run)

    assert len(known.phone.sent) == 1


async def test_a_waiting_line_that_will_be_someone_elses_costs_no_answer(known):
    await known.engine.look.execute(PART, STRANGER.phone)
    [event_id] = await known.deliver(known.says(PRICE_QUESTION))
    await known.deliver(known.says("Hello?", who=STRANGER))

    await known.handle(event_id)

    assert await known.rows(ANSWERED) == [(PRICE_QUESTION,)]
