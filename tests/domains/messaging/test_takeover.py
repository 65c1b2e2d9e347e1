"""In whatever order people write, type, pause and resume: the assistant never talks over one."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from server.domains import messaging
from server.domains.messaging import answering, rules
from tests.domains.messaging.conftest import PRICE_QUESTION, Model
from tests.domains.messaging.test_letters import met, write
from tests.engine import BUSINESS

ACTS_IN_A_STORY = 9
MAY_ANSWER = """
SELECT ai_enabled AND NOT coalesce(ai_paused_until > now(), false) FROM conversation
"""
ANSWERS_THE_NEWEST = """
SELECT count(*) FROM message AS reply JOIN message AS asked ON asked.id = reply.answers_message_id
WHERE EXISTS (SELECT FROM message AS newer WHERE newer.author = 'customer'
    AND newer.position > asked.position AND newer.position < reply.position)
"""


class Story:
    """Acts of one conversation, drawn by a seed; an answer in the making is interrupted by some of them."""

    def __init__(self, shop, seed):
        self.shop, self.draw, self.wrong = shop, random.Random(seed), []
        self.number = 0

    async def tell(self):
        conversation_id = await met(self.shop)
        self.shop.model = Model(self.interrupt)
        self.shop.phone.before_answer = self.check
        self.conversation_id = conversation_id
        for _ in range(ACTS_IN_A_STORY):
            acts = [self.ask, self.ask, self.ask_quickly, self.write, self.type, self.pause, self.resume]
            await self.draw.choice(acts)()
            await self.shop.settle()

    async def ask(self):
        await self.shop.deliver(self.shop.says(PRICE_QUESTION))

    async def ask_quickly(self):
        for _ in range(3):
            await self.ask()

    async def write(self):
        self.number += 1
        await write(self.shop, f"written {self.number}", conversation_id=self.conversation_id)

    async def type(self):
        self.number += 1
        await self.shop.deliver(self.shop.echo(f"typed {self.number}", f"PHONE{self.number}"))

    async def pause(self):
        user_id = await self.shop.look("SELECT id FROM user_account LIMIT 1")
        async with self.shop.engine.api.transaction(BUSINESS) as session:
            await messaging.pause(session, BUSINESS, self.conversation_id, until=None, user_id=user_id)

    async def resume(self):
        async with self.shop.engine.api.transaction(BUSINESS) as session:
            await messaging.resume(session, BUSINESS, self.conversation_id)

    async def interrupt(self):
        if self.draw.random() < 0.6:
            await self.draw.choice([self.write, self.type, self.pause, self.ask])()

    async def check(self):
        _, _, key = self.shop.phone.sent[-1]
        if key.startswith("reply:") and not await self.shop.look(MAY_ANSWER):
            self.wrong.append(f"{key} was sent over a person")

    async def faults(self):
        keys = [key for _, _, key in self.shop.phone.sent]
        doubled = [f"{key} was sent twice" for key in set(keys) if keys.count(key) > 1]
        overtaken = await self.shop.look(ANSWERS_THE_NEWEST)
        unsent = await self.shop.look(
            "SELECT count(*) FROM message WHERE author = 'person' AND status NOT IN ('sent', 'delivered')"
        )
        return self.wrong + doubled + ["an old line was answered"] * overtaken + ["not sent"] * unsent


@pytest.mark.parametrize("seed", [3, 11, 27])
async def test_the_assistant_never_talks_over_a_person(shop, seed):
    story = Story(shop, seed)

    await story.tell()

    assert await story.faults() == []


async def test_an_assistant_that_ignored_people_would_be_found_out(shop, monkeypatch):
    ignored = {"conversation_answers": True, "is_paused": False, "is_person_later": False}
    meant = rules.why_silent
    monkeypatch.setattr(answering, "why_silent", lambda standing: meant(replace(standing, **ignored)))
    story = Story(shop, 3)

    await story.tell()

    assert any("over a person" in fault for fault in await story.faults())


async def test_a_pause_by_hand_outlasts_what_is_typed_meanwhile(shop):
    conversation_id = await met(shop)
    await shop.engine.look.execute(
        "UPDATE conversation SET ai_paused_until = now() + interval '9 hours', pause_reason = 'hand'"
    )

    await write(shop, conversation_id=conversation_id)

    left = "SELECT ai_paused_until > now() + interval '8 hours' AND pause_reason = 'hand' FROM conversation"
    assert await shop.look(left)


async def test_a_business_says_how_long_a_takeover_lasts(shop):
    await met(shop)
    await shop.engine.look.execute("UPDATE business SET takeover_minutes = 120 WHERE id = 6")

    await shop.deliver(shop.echo("I am on my way", "PHONE1"))
    await shop.settle()

    left = "SELECT extract(epoch FROM ai_paused_until - now()) / 60 FROM conversation"
    assert 118 < await shop.look(left) <= 120
