"""Edits and deletions in any order, before their message and after it."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest

from server.domains import messaging
from server.domains.messaging import intake
from tests.engine import eventually

FIRST, SECOND = "How much is opening a door?", "How much is opening two doors?"
SEEN = "SELECT text, details ? 'edited', details ? 'deleted' FROM message WHERE author = 'customer'"


def edit(shop, text, ago):
    changed = {"key": {"id": "A1"}, "type": 14, "editedMessage": {"conversation": text}}
    return shop.says("", ago=timedelta(seconds=ago), protocolMessage=changed)


def delete(shop):
    return shop.says("", protocolMessage={"key": {"id": "A1"}, "type": 0})


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_of_two_edits_the_later_one_stays_in_any_order(shop, order):
    told = [shop.says("hi", message_id="A1", ago=timedelta(seconds=90)), edit(shop, FIRST, 60)]
    told.append(edit(shop, SECOND, 30))

    for place in order:
        await shop.deliver(told[place])
        await shop.settle()

    assert await shop.rows(SEEN) == [(SECOND, True, False)]
    assert await shop.look("SELECT count(*) FROM early_change") == 0


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_a_message_that_was_deleted_stays_deleted_in_any_order(shop, order):
    told = [shop.says("hi", message_id="A1", ago=timedelta(seconds=90)), edit(shop, FIRST, 60), delete(shop)]

    for place in order:
        await shop.deliver(told[place])
        await shop.settle()

    [(text, _, deleted)] = await shop.rows(SEEN)
    assert (text, deleted) == (None, True)


async def test_a_question_that_was_taken_back_before_it_came_is_not_answered(shop):
    await shop.deliver(delete(shop))
    await shop.settle()

    await shop.deliver(shop.says(FIRST, message_id="A1"))
    await shop.settle()

    assert shop.phone.sent == []


@pytest.mark.parametrize("is_kept", [True, False])
async def test_a_line_that_was_taken_back_before_it_came_costs_no_other_line_its_answer(shop, is_kept):
    if is_kept:
        await shop.deliver(delete(shop))
        await shop.settle()

    await shop.deliver(shop.says(FIRST, message_id="A2"), delete(shop), shop.says("hi", message_id="A1"))
    await shop.settle()

    question_id = await shop.look("SELECT id FROM message WHERE provider_id = 'A2'")
    assert [key for _, _, key in shop.phone.sent] == [f"reply:{question_id}"]


LID = "82399031480511@lid"
PHONE = "972501234567@s.whatsapp.net"


def under(body, jid, alternative=None):
    """Tell of the same under another address of the customer, maybe beside the first."""
    [message] = body["payload"]["messages"]
    message["key"]["remoteJid"] = jid
    if alternative:
        message["key"]["remoteJidAlt"] = alternative
    return body


@pytest.mark.parametrize("is_told_beside", [True, False])
@pytest.mark.parametrize(("deleter", "author"), [(LID, PHONE), (PHONE, LID)])
async def test_a_line_that_was_taken_back_under_another_address_costs_no_other_line_its_answer(
    shop, deleter, author, is_told_beside
):
    if not is_told_beside:
        await shop.deliver(under(shop.says("hello"), PHONE, LID))
        await shop.settle()
        shop.phone.sent.clear()
    await shop.deliver(under(delete(shop), deleter))
    await shop.settle()

    line = under(shop.says("hi", message_id="A1"), author, deleter if is_told_beside else None)
    await shop.deliver(under(shop.says(FIRST, message_id="A2"), author), line, lane="one chat")
    await shop.settle()

    question_id = await shop.look("SELECT id FROM message WHERE provider_id = 'A2'")
    assert [key for _, _, key in shop.phone.sent] == [f"reply:{question_id}"]
    taken_back = "SELECT details ? 'deleted' FROM message WHERE provider_id = 'A1'"
    assert await shop.look(taken_back) is True
    assert await shop.look("SELECT count(*) FROM early_change") == 0


async def test_a_newer_line_under_another_address_that_was_taken_back_costs_the_older_no_answer(
    shop, monkeypatch
):
    monkeypatch.setattr(intake, "QUIET", timedelta(seconds=1))
    await shop.deliver(under(delete(shop), PHONE, LID))
    await shop.settle()
    [older] = await shop.deliver(under(shop.says(FIRST, message_id="A2"), LID, PHONE))
    answering = asyncio.create_task(messaging.process_event(await shop.claim(older), older))
    await eventually(lambda: shop.look("SELECT count(*) > 0 FROM message WHERE provider_id = 'A2'"))

    [newer] = await shop.deliver(under(shop.says("hi", message_id="A1"), PHONE, LID))
    await messaging.process_event(await shop.claim(newer), newer)
    await answering

    question_id = await shop.look("SELECT id FROM message WHERE provider_id = 'A2'")
    assert [key for _, _, key in shop.phone.sent] == [f"reply:{question_id}"]


@pytest.mark.parametrize("comes_first", [True, False])
async def test_a_change_under_the_hidden_id_of_a_phone_is_made_in_any_order(shop, comes_first):
    told = [under(shop.says("hi", message_id="A1", ago=timedelta(seconds=9)), PHONE, LID)]
    told.insert(0 if comes_first else 1, under(delete(shop), LID))

    for body in told:
        await shop.deliver(body)
        await shop.settle()

    [(text, _, deleted)] = await shop.rows(SEEN)
    assert (text, deleted) == (None, True)


async def test_a_line_that_a_stranger_says_to_take_back_gets_the_answer(shop):
    stranger = delete(shop)
    stranger["payload"]["messages"][0]["key"]["remoteJid"] = "972541111111@s.whatsapp.net"
    await shop.deliver(stranger)
    await shop.settle()

    await shop.deliver(shop.says("hi", message_id="A2"), shop.says(FIRST, message_id="A1"))
    await shop.settle()

    question_id = await shop.look("SELECT id FROM message WHERE provider_id = 'A1'")
    assert [key for _, _, key in shop.phone.sent] == [f"reply:{question_id}"]


async def test_an_early_change_of_another_persons_message_is_never_made(shop):
    changed = {"key": {"id": "A1"}, "type": 0}
    stranger = shop.says("", protocolMessage=changed)
    stranger["payload"]["messages"][0]["key"]["remoteJid"] = "972541111111@s.whatsapp.net"
    await shop.deliver(stranger)
    await shop.settle()

    await shop.deliver(shop.says(FIRST, message_id="A1"))
    await shop.settle()

    assert await shop.rows(SEEN) == [(FIRST, False, False)]


def on_the_phone(shop, **content):
    """Build what the bridge reports of the owner changing our first message on their phone."""
    body = shop.echo("", "CHANGE1")
    [message] = body["payload"]["messages"]
    message["message"] = {"protocolMessage": {"key": {"id": "OURS1"}, **content}}
    return body


EDITED = {"type": 14, "editedMessage": {"conversation": "350 NIS, today only"}}
ANSWER = "SELECT text, details ? 'edited', details ? 'deleted', status FROM message WHERE direction = 'out'"


@pytest.mark.parametrize(
    ("content", "seen"), [(EDITED, ("350 NIS, today only", True, False)), ({"type": 0}, (None, False, True))]
)
@pytest.mark.parametrize("echoes", [False, True])
async def test_what_the_owner_does_to_an_answer_before_its_id_is_known_is_done(shop, content, seen, echoes):
    async def meanwhile():
        told = [shop.echo("another wording", "OURS1")] if echoes else []
        for event_id in await shop.deliver(*told, on_the_phone(shop, **content), lane="beside"):
            await shop.handle(event_id)

    shop.phone.before_answer = meanwhile
    await shop.deliver(shop.says(FIRST))
    await shop.settle()

    assert await shop.rows(ANSWER) == [(*seen, "sent")]
    assert await shop.look("SELECT count(*) FROM early_change") == 0
    assert await shop.look("SELECT state FROM inbox_event WHERE event_id = 'CHANGE1'") == "done"
