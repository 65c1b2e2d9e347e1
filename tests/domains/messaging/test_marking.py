"""While a model writes, the customer sees that their message was read; it never costs them the answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from server.errors import ProviderDownError
from server.ports import ChannelAccount
from tests.domains.messaging.conftest import MAYA, Model, Phone


@dataclass
class Marking(Phone):
    """A phone on which marks are seen; they may fail, or take for ever."""

    marks: list[tuple[str, str]] = field(default_factory=list)
    trouble: BaseException | None = None
    hangs: bool = False
    seen: asyncio.Event = field(default_factory=asyncio.Event)

    async def show_reading(self, account: ChannelAccount, *, to: str, message_id: str) -> None:  # noqa: ARG002
        self.marks.append((to, message_id))
        self.seen.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.trouble is not None:
            raise self.trouble


@pytest.fixture
async def marking(shop):
    shop.phone = Marking()
    shop.model = Model(shop.phone.seen.wait)
    return shop


async def ask(shop):
    await shop.deliver(shop.says("Do you open cars?", message_id="A1"))
    async with asyncio.timeout(20):
        await shop.settle()


async def test_a_mark_is_shown_before_the_answer_goes_out(marking):
    await ask(marking)

    assert marking.phone.marks == [(MAYA.jid, "A1")]
    assert marking.phone.texts == ["Answer 1."]


@pytest.mark.parametrize("trouble", [ProviderDownError("away"), None])
async def test_a_mark_that_fails_or_hangs_costs_nobody_the_answer(marking, trouble):
    marking.phone.trouble, marking.phone.hangs = trouble, trouble is None

    await ask(marking)

    assert await marking.replies() == [("Answer 1.", "sent")]


@pytest.mark.parametrize(
    "unwanted",
    [
        "UPDATE business SET shows_reading = false",
        "UPDATE conversation SET needs_approval = true",
    ],
)
async def test_no_mark_is_shown_where_it_is_not_wanted_or_a_person_decides(marking, unwanted):
    await ask(marking)
    await marking.engine.look.execute(unwanted)
    marking.phone.marks.clear()

    await marking.deliver(marking.says("And safes?", message_id="A2"))
    await marking.settle()

    assert marking.phone.marks == []
