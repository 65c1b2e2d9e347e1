"""One suite for every message channel, against the provider's simulator on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest

from server.errors import (
    ProviderBusyError,
    ProviderDownError,
    ProviderRefusedError,
    ProviderUnknownError,
    RecipientBusyError,
    Refusal,
)
from server.ports import (
    Accepted,
    ChannelAccount,
    ChannelEvent,
    DeliveryStatus,
    EventKind,
    MessageChannel,
    Outgoing,
    OutgoingMedia,
    OutgoingReaction,
    OutgoingText,
)
from server.providers.connections import open_connections
from server.providers.whatsapp_bridge import WhatsappBridge
from server.providers.whatsapp_cloud import WhatsappCloud
from simulator.media import door_photo
from tests.simulator.outside import ACCESS_TOKEN, DANA, SECRET, Outside, Receiver, outside_world, until

BRIDGE, CLOUD = "whatsapp_bridge", "whatsapp_cloud"
KEY = "reply:1"
OF_META = {"waba_id": "102290129340398"}


AT_META = pytest.mark.parametrize("line", [CLOUD], indirect=True)


@dataclass
class Line:
    """One channel to Dana's phone; `chat` is how her messages are listed there."""

    kind: str
    channel: MessageChannel
    account: ChannelAccount
    world: Outside
    to: str
    chat: str

    async def send(self, outgoing: Outgoing | None = None, *, secret: str = "", to: str = "") -> Accepted:
        account = replace(self.account, secret=secret) if secret else self.account
        told = outgoing or OutgoingText("שלום, 250 ש״ח")
        return await self.channel.send(account, told, to=to or self.to, key=KEY)

    async def behave(self, **behaviour: Any) -> None:
        answer = await self.world.client.post("/sim/behaviour", json={"provider": self.kind, **behaviour})
        assert answer.status_code == 200, answer.text

    async def writes(self, **fields: Any) -> None:
        """Have Dana write on her phone."""
        told = {"channel": "bridge" if self.kind == BRIDGE else "cloud", **fields}
        answer = await self.world.write(**told)
        assert answer.status_code == 200, answer.text

    async def shown(self) -> list[dict[str, Any]]:
        return await self.world.shown(self.chat)

    def reported(self) -> list[tuple[str, ChannelEvent]]:
        """Read all that came to the webhook, each with its lane."""
        events = [event for body in self.world.receiver.bodies for event in self.channel.split(body)]
        return [(event.lane, self.channel.read(event.payload)) for event in events]

    async def until_reported(self, kind: EventKind, count: int = 1) -> list[tuple[str, ChannelEvent]]:
        def found() -> list[tuple[str, ChannelEvent]]:
            return [told for told in self.reported() if told[1].kind is kind]

        await until(lambda: len(found()) >= count)
        return found()


@pytest.fixture(params=[BRIDGE, CLOUD])
async def line(request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    async with outside_world(Receiver()) as world, open_connections() as http:
        if request.param == BRIDGE:
            account = ChannelAccount(uuid4(), 6, f"{world.url}/bridge", SECRET, "business_6")
            yield Line(BRIDGE, WhatsappBridge(http), account, world, DANA, DANA)
            return
        assert (await world.connect_cloud())["verified"]
        account = ChannelAccount(
            uuid4(),
            6,
            "",
            ACCESS_TOKEN,
            account_id="106540352242922",
            settings=OF_META,
        )
        channel = WhatsappCloud(http, base_url=f"{world.url}/cloud", version="v23.0")
        phone = DANA.partition("@")[0]
        yield Line(CLOUD, channel, account, world, phone, phone)


async def test_a_sent_text_reaches_the_phone(line: Line) -> None:
    accepted = await line.send()

    [bubble] = await line.shown()
    assert (bubble["id"], bubble["text"]) == (accepted.provider_id, "שלום, 250 ש״ח")


async def test_the_key_goes_along_and_names_the_call(line: Line) -> None:
    await line.send()

    [call] = await line.world.calls(provider=line.kind)
    name = "idempotencyKey" if line.kind == BRIDGE else "biz_opaque_callback_data"
    assert call["request"]["body"][name] == KEY


async def test_its_receipts_name_the_message_that_was_accepted(line: Line) -> None:
    accepted = await line.send()

    told = await line.until_reported(EventKind.STATUS, 1 if line.kind == BRIDGE else 2)

    assert {event.provider_id for _, event in told} == {accepted.provider_id}
    assert told[-1][1].status is DeliveryStatus.DELIVERED
    if line.kind == CLOUD:
        assert {event.details["effect_key"] for _, event in told} == {KEY}


async def test_what_the_customer_writes_is_in_the_lane_of_the_receipts_that_they_cause(line: Line) -> None:
    await line.send()
    await line.writes(kind="text", text="כן")

    [(lane, said)] = [one for one in await line.until_reported(EventKind.TEXT) if not one[1].from_us]
    [(lane_of_receipt, _), *_] = await line.until_reported(EventKind.STATUS)

    assert lane == lane_of_receipt
    assert said.sender is not None
    assert said.sender.address == line.to


@pytest.mark.parametrize(
    ("behaviour", "on_bridge", "on_cloud"),
    [
        ({"status": 503}, ProviderDownError, ProviderUnknownError),
        ({"status": 500}, ProviderDownError, ProviderUnknownError),
        ({"status": 502}, ProviderUnknownError, ProviderRefusedError),
        ({"status": 429, "retry_after_s": 7}, ProviderBusyError, ProviderBusyError),
        ({"status": 401}, ProviderRefusedError, ProviderRefusedError),
        ({"status": 422}, ProviderRefusedError, ProviderRefusedError),
        ({"drop_answer": True}, ProviderUnknownError, ProviderUnknownError),
    ],
)
async def test_every_way_of_failing_has_its_class(
    line: Line, behaviour: dict[str, Any], on_bridge: type[Exception], on_cloud: type[Exception]
) -> None:
    await line.behave(times=1, **behaviour)

    with pytest.raises(on_bridge if line.kind == BRIDGE else on_cloud):
        await line.send()


async def test_a_dropped_answer_is_unknown_and_was_sent_all_the_same(line: Line) -> None:
    await line.behave(times=1, drop_answer=True)

    with pytest.raises(ProviderUnknownError):
        await line.send()

    assert len(await line.shown()) == 1


async def test_nobody_there_is_down_and_not_unknown(line: Line) -> None:
    nowhere = replace(line.account, base_url="http://127.0.0.1:1")
    async with open_connections() as http:
        channel = (
            line.channel
            if line.kind == BRIDGE
            else WhatsappCloud(http, base_url="http://127.0.0.1:1", version="v23.0")
        )
        with pytest.raises(ProviderDownError):
            await channel.send(nowhere, OutgoingText("x"), to=line.to, key=KEY)


async def test_a_wrong_secret_is_refused_and_never_said(line: Line) -> None:
    with pytest.raises(ProviderRefusedError) as refused:
        await line.send(secret="another-secret")

    assert "another-secret" not in str(refused.value)


async def test_a_send_that_is_cancelled_ends_at_once(line: Line) -> None:
    await line.behave(times=1, hang=True)
    sending = asyncio.create_task(line.send())
    async with asyncio.timeout(5):
        while not await line.world.calls():
            await asyncio.sleep(0.01)

    sending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sending


@pytest.mark.parametrize("text", ["x" * 4096, "א" * 4096, "line\nline\t\x07\u202e", "😀"])
async def test_a_text_arrives_word_for_word(line: Line, text: str) -> None:
    await line.send(OutgoingText(text))

    [bubble] = await line.shown()
    assert bubble["text"] == text


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    # Not by threes: letters of base64 span them.
    for start in range(0, len(content), 1_000):
        yield content[start : start + 1_000]


def photo(**more: Any) -> OutgoingMedia:
    content = door_photo()
    told = {"mimetype": "image/png", "file_name": "door.png", "caption": "הדלת"} | more
    return OutgoingMedia(EventKind.IMAGE, pieces(content), len(content), **told)


def document() -> OutgoingMedia:
    return OutgoingMedia(EventKind.DOCUMENT, pieces(b"%PDF-1"), 6, "application/pdf", "may.pdf")


@pytest.mark.parametrize("file_name", ['דלת "א".png', "a\r\nb: c.png", "", "x" * 200])
async def test_a_files_name_breaks_nothing(line: Line, file_name: str) -> None:
    await line.send(photo(file_name=file_name))

    [bubble] = await line.shown()
    assert (await line.world.client.get(bubble["url"])).content == door_photo()


async def test_a_file_arrives_with_its_words(line: Line) -> None:
    await line.send(photo())

    [bubble] = await line.shown()
    assert (bubble["kind"], bubble["text"]) == ("image", "הדלת")
    assert (await line.world.client.get(bubble["url"])).content == door_photo()


async def test_a_customers_file_is_fetched_byte_for_byte(line: Line) -> None:
    await line.writes(kind="image")
    [(_, said)] = await line.until_reported(EventKind.IMAGE)

    async with line.channel.open_file(line.account, said.details["media"]) as file:
        content = b"".join([chunk async for chunk in file.chunks])

    assert content == door_photo()
    assert (file.mimetype.partition(";")[0], file.size_bytes) == ("image/png", len(content))


async def test_a_file_that_is_gone_is_gone_for_good(line: Line) -> None:
    gone = {"url": f"{line.world.url}/sim/media/none.png", "kind": "image", "id": "4711"}

    with pytest.raises(ProviderRefusedError):
        async with line.channel.open_file(line.account, gone):
            pass


async def test_a_files_address_elsewhere_is_not_followed(line: Line) -> None:
    for url in ("http://169.254.169.254/latest", "file:///etc/passwd", "https://evil.test/x", "//[", ""):
        with pytest.raises((ProviderRefusedError, ProviderDownError)):
            async with line.channel.open_file(line.account, {"url": url, "kind": "image"}):
                pass


async def test_that_an_answer_is_being_written_is_shown(line: Line) -> None:
    accepted = await line.send()
    if line.kind == CLOUD:
        await line.writes(kind="text", text="?")
        [(_, said)] = [one for one in await line.until_reported(EventKind.TEXT) if not one[1].from_us]
        accepted = Accepted(said.provider_id)

    await line.channel.show_reading(line.account, to=line.to, message_id=accepted.provider_id)

    assert (await line.world.calls(provider=line.kind))[-1]["answer"]["status"] == 200


@pytest.mark.parametrize(
    ("code", "error", "meaning"),
    [
        (190, ProviderRefusedError, Refusal.CREDENTIALS),
        (131042, ProviderRefusedError, Refusal.PAYMENT),
        (131048, ProviderRefusedError, Refusal.POLICY),
        (368, ProviderRefusedError, Refusal.POLICY),
        (131047, ProviderRefusedError, Refusal.WINDOW_CLOSED),
        (131050, ProviderRefusedError, Refusal.OPTED_OUT),
        (131026, ProviderRefusedError, Refusal.UNREACHABLE),
        (131049, ProviderRefusedError, Refusal.CAPPED),
        (130472, ProviderRefusedError, Refusal.CAPPED),
        (132001, ProviderRefusedError, Refusal.TEMPLATE),
        (132016, ProviderRefusedError, Refusal.TEMPLATE),
        (130429, ProviderBusyError, None),
        (80007, ProviderBusyError, None),
        (4, ProviderBusyError, None),
        (131056, RecipientBusyError, None),
        (131000, ProviderUnknownError, None),
        (1, ProviderUnknownError, None),
        (2, ProviderUnknownError, None),
    ],
)
@AT_META
async def test_metas_codes_mean_what_its_table_says(
    line: Line, code: int, error: type[Exception], meaning: Refusal | None
) -> None:
    await line.behave(times=1, error_code=code)

    with pytest.raises(error) as raised:
        await line.send()

    if isinstance(raised.value, ProviderRefusedError):
        assert (raised.value.meaning, raised.value.code) == (meaning, str(code))
    assert type(raised.value) is error


@AT_META
async def test_a_person_without_a_phone_is_reached_by_their_scoped_id(line: Line) -> None:
    accepted = await line.send(to="IL.88120011223344")

    [bubble] = await line.world.shown("IL.88120011223344")
    assert bubble["id"] == accepted.provider_id


@AT_META
async def test_a_reaction_and_a_quote_reach_the_message_that_they_name(line: Line) -> None:
    accepted = await line.send()

    await line.send(OutgoingReaction(accepted.provider_id, "👍"))
    await line.send(OutgoingText("כן", quoted_id=accepted.provider_id))

    first, second = await line.shown()
    assert "👍" in first["reactions"].values()
    assert second["quotes"] == accepted.provider_id


@AT_META
async def test_a_status_may_come_before_the_answer(line: Line) -> None:
    await line.behave(times=1, status_first=True)

    accepted = await line.send()

    told = [event for _, event in line.reported() if event.kind is EventKind.STATUS]
    assert {event.provider_id for event in told} == {accepted.provider_id}


@AT_META
async def test_a_message_that_fails_later_says_why(line: Line) -> None:
    await line.behave(times=1, fail_status_code=131049)

    await line.send()

    [(_, event)] = await line.until_reported(EventKind.STATUS)
    assert (event.status, event.details["meaning"]) == (DeliveryStatus.FAILED, Refusal.CAPPED)
