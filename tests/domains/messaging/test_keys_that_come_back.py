"""A provider that gives our key back with its reports: they find their message before its id is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.errors import ProviderUnknownError
from tests.domains.messaging.conftest import PRICE, Phone


class NamingPhone(Phone):
    """A phone whose receipts carry the key of the effect that they are about."""

    key = ""

    def read(self, payload):
        event = super().read(payload)
        is_receipt = event.status is not None and self.key
        return replace(event, details=dict(event.details) | {"effect_key": self.key}) if is_receipt else event


@pytest.fixture
def naming(shop):
    phone = NamingPhone()
    phone._http = shop.phone._http
    shop.phone = phone
    return shop


async def test_a_receipt_settles_an_answer_whose_sending_nobody_knew_of(naming):
    naming.phone.answers = [ProviderUnknownError("the line broke")]
    await naming.deliver(naming.says("How much is opening a door?"))
    await naming.settle()
    [(_, before)] = await naming.replies()
    naming.phone.key = await naming.look("SELECT key FROM effect")

    await naming.deliver(naming.receipt("OURS9", 3))
    await naming.settle()

    assert before == "unknown"
    assert await naming.replies() == [(PRICE, "delivered")]
    assert await naming.rows("SELECT state, provider_ref FROM effect") == [("confirmed", "OURS9")]
    assert len(naming.phone.sent) == 1


async def test_a_key_of_another_channel_names_nothing(naming):
    naming.phone.answers = [ProviderUnknownError("the line broke")]
    await naming.deliver(naming.says("How much is opening a door?"))
    await naming.settle()
    naming.phone.key = "reply:none of ours"

    await naming.deliver(naming.receipt("OURS9", 3))
    await naming.settle()

    assert [status for _, status in await naming.replies()] == ["unknown"]
