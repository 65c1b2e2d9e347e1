"""One suite for every message channel, against the provider's simulator on a real socket."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import httpx
import pytest

from server.errors import ProviderBusyError, ProviderDownError, ProviderRefusedError, ProviderUnknownError
from server.ports import ChannelAccount, DeliveryStatus, EventKind, OutgoingText
from server.providers.whatsapp_bridge import WhatsappBridge
from tests.simulator.outside import DANA, SECRET, Receiver, outside_world, until


@pytest.fixture
async def world():
    async with outside_world(Receiver()) as world:
        yield world


@pytest.fixture
async def channel():
    async with httpx.AsyncClient() as http:
        yield WhatsappBridge(http)


async def send(channel, world, *, secret: str = SECRET, text: str = "שלום, 250 ש״ח"):
    account = ChannelAccount(uuid4(), 6, f"{world.url}/bridge", secret, "business_6")
    return await channel.send(account, OutgoingText(text), to=DANA, key="reply:1")


async def test_a_sent_text_reaches_the_phone_with_its_key(channel, world):
    accepted = await send(channel, world)

    [bubble] = await world.shown()
    assert (bubble["id"], bubble["text"]) == (accepted.provider_id, "שלום, 250 ש״ח")
    [call] = await world.calls()
    assert call["request"]["body"]["idempotencyKey"] == "reply:1"


async def test_its_echo_and_receipt_name_the_message_that_was_accepted(channel, world):
    accepted = await send(channel, world)
    await until(lambda: bool(world.receiver.receipts()))

    [echo] = channel.split(world.receiver.echoes()[0])
    [receipt] = channel.split(world.receiver.receipts()[0])
    read = channel.read(echo.payload)
    assert (read.provider_id, read.from_us, read.text) == (accepted.provider_id, True, "שלום, 250 ש״ח")
    read = channel.read(receipt.payload)
    assert (read.kind, read.provider_id) == (EventKind.STATUS, accepted.provider_id)
    assert read.status is DeliveryStatus.DELIVERED
    assert echo.lane == receipt.lane == DANA


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ({"status": 503}, ProviderDownError),
        ({"status": 500}, ProviderDownError),
        ({"status": 429, "retry_after_s": 7}, ProviderBusyError),
        ({"status": 401}, ProviderRefusedError),
        ({"status": 422}, ProviderRefusedError),
        ({"status": 502}, ProviderUnknownError),
        ({"drop_answer": True}, ProviderUnknownError),
    ],
)
async def test_every_way_of_failing_has_its_class(channel, world, behaviour, error):
    await world.behave(**behaviour)

    with pytest.raises(error):
        await send(channel, world)


async def test_a_dropped_answer_is_unknown_and_was_sent_all_the_same(channel, world):
    await world.behave(drop_answer=True)

    with pytest.raises(ProviderUnknownError):
        await send(channel, world)

    assert len(await world.shown()) == 1


async def test_a_wrong_secret_is_refused_for_good(channel, world):
    with pytest.raises(ProviderRefusedError, match="secret"):
        await send(channel, world, secret="another")


async def test_a_send_that_is_cancelled_ends_at_once(channel, world):
    await world.behave(hang=True)
    sending = asyncio.create_task(send(channel, world))
    async with asyncio.timeout(5):
        while not await world.calls():
            await asyncio.sleep(0.01)

    sending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sending


@pytest.mark.parametrize("text", ["x" * 4096, "א" * 10_000, "line\nline\t\x07\u202e", "😀"])
async def test_a_text_arrives_word_for_word(channel, world, text):
    await send(channel, world, text=text)

    [bubble] = await world.shown()
    assert bubble["text"] == text
