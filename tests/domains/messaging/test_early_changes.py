"""Edits and deletions in any order, before their message and after it."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

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
