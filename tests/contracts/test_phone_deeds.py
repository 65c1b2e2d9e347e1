"""Everything that the simulated phone can do, read by the channel's own provider as what it is."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from server.ports import ChannelEvent, EventKind, IdentityKind, Sender
from server.providers.whatsapp_bridge import WhatsappBridge
from server.providers.whatsapp_cloud import WhatsappCloud
from tests.simulator.outside import Receiver, outside_world, until

DANA = {"from": "972501234567", "name": "דנה"}
OURS = "3EB0OURS01"
PRESSED = {"id": "yes", "title": "כן"}

# What is done on the phone, and what the house must understand; both channels understand the same.
SAID: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "text": ({"text": "*שלום*"}, {"kind": "text", "text": "*שלום*", "may_be_answered": True}),
    "reply": ({"text": "כן", "quotes": OURS}, {"kind": "text", "text": "כן", "quoted_id": OURS}),
    "image": ({"kind": "image", "text": "הדלת"}, {"kind": "image", "text": "הדלת", "mimetype": "image/png"}),
    "image alone": ({"kind": "image"}, {"kind": "image", "text": None, "may_be_answered": True}),
    "video": ({"kind": "video"}, {"kind": "video", "mimetype": "video/mp4"}),
    "document": ({"kind": "document"}, {"kind": "document", "file_name": "quote.pdf"}),
    "document with words": ({"kind": "document", "text": "הצעה"}, {"kind": "document", "text": "הצעה"}),
    "audio": ({"kind": "audio"}, {"kind": "audio"}),
    "voice": ({"kind": "voice"}, {"kind": "voice", "mimetype": "audio/ogg; codecs=opus"}),
    "sticker": ({"kind": "sticker"}, {"kind": "sticker", "mimetype": "image/webp"}),
    "location": ({"kind": "location"}, {"kind": "location", "latitude": 32.08, "longitude": 34.78}),
    "contact": (
        {"kind": "contact"},
        {"kind": "contact", "cards": [{"name": "אלי המנעולן", "phones": ["+972541112233"]}]},
    ),
    "button": (
        {"kind": "choice", "choice": {"how": "button", **PRESSED}},
        {"kind": "choice", "text": "כן", "choice_id": "yes", "may_be_answered": True},
    ),
    "list": (
        {"kind": "choice", "choice": {"how": "list", **PRESSED}},
        {"kind": "choice", "choice_id": "yes"},
    ),
    "template button": (
        {"kind": "choice", "choice": {"how": "template", **PRESSED}, "quotes": OURS},
        {"kind": "choice", "choice_id": "yes", "quoted_id": OURS},
    ),
    "reaction": (
        {"kind": "reaction", "text": "👍", "target": OURS},
        {"kind": "reaction", "text": "👍", "target_id": OURS, "may_be_answered": False},
    ),
    "reaction taken back": (
        {"kind": "reaction", "target": OURS},
        {"kind": "reaction", "text": "", "target_id": OURS},
    ),
    "edit": (
        {"kind": "edit", "text": "מחר", "target": "3EB0A1"},
        {"kind": "edit", "text": "מחר", "target_id": "3EB0A1", "may_be_answered": False},
    ),
    "delete": (
        {"kind": "delete", "target": "3EB0A1"},
        {"kind": "delete", "target_id": "3EB0A1", "may_be_answered": False},
    ),
    "history": (
        {"text": "ישן", "history": True},
        {"kind": "text", "history": True, "may_be_answered": False},
    ),
    "unknown": ({"kind": "unknown"}, {"kind": "unsupported", "may_be_answered": False}),
    "long": ({"text": "א" * 10_000}, {"kind": "text", "text": "א" * 10_000}),
    "hostile": ({"text": "\u202e<b>x</b>\x07"}, {"kind": "text", "text": "\u202e<b>x</b>\x07"}),
}
BRIDGE_ALONE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "interactive": (
        {"kind": "choice", "choice": {"how": "interactive", **PRESSED}},
        {"kind": "choice", "choice_id": "yes"},
    ),
    "view once": (
        {"kind": "image", "view_once": True},
        {"kind": "image", "may_be_answered": True},
    ),
    "ephemeral": ({"text": "נעלם", "ephemeral": True}, {"kind": "text", "text": "נעלם"}),
    "group": ({"text": "x", "place": "group"}, {"chat": "group", "may_be_answered": False}),
    "status": ({"kind": "image", "place": "status"}, {"chat": "status", "may_be_answered": False}),
    "newsletter": ({"text": "x", "place": "newsletter"}, {"chat": "newsletter", "may_be_answered": False}),
}


CLOUD_ALONE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "view once": ({"kind": "image", "view_once": True}, {"kind": "unsupported", "may_be_answered": False}),
    "order": ({"kind": "order", "text": "זה"}, {"kind": "choice", "text": "זה", "may_be_answered": True}),
    "chat opened": ({"kind": "welcome"}, {"kind": "ignored"}),
    "new number": (
        {"kind": "number_change", "details": {"wa_id": "972509999999"}},
        {"kind": "unsupported", "new_wa_id": "972509999999", "may_be_answered": False},
    ),
    "from an advertisement": ({"text": "x", "referral": True}, {"kind": "text", "may_be_answered": True}),
}


@pytest.fixture
async def world():
    async with outside_world(Receiver()) as world:
        yield world


@pytest.fixture
async def bridge():
    async with httpx.AsyncClient() as http:
        yield WhatsappBridge(http)


@pytest.fixture
async def cloud(world):
    await world.connect_cloud()
    async with httpx.AsyncClient() as http:
        yield WhatsappCloud(http, base_url=f"{world.url}/cloud", version="v23.0")


def read_all(channel, world) -> list[ChannelEvent]:
    return [channel.read(event.payload) for body in world.receiver.bodies for event in channel.split(body)]


def senders(events: list[ChannelEvent]) -> list[Sender]:
    return [event.sender for event in events if event.sender]


def as_told(event: ChannelEvent, wanted: dict[str, Any]) -> dict[str, Any]:
    """Show of an event what the table speaks of."""
    return {
        name: getattr(event, name) if hasattr(event, name) else event.details.get(name) for name in wanted
    }


@pytest.mark.parametrize("deed", [*SAID, *BRIDGE_ALONE])
async def test_what_a_customer_of_the_bridge_does_is_read_as_what_it_is(bridge, world, deed):
    order, wanted = (SAID | BRIDGE_ALONE)[deed]

    answer = await world.write(**order)

    [event] = read_all(bridge, world)
    assert as_told(event, wanted) == wanted
    assert (event.provider_id, event.from_us) == (answer.json()["ids"][0], False)
    assert event.sender is not None
    assert event.sender.identities == {IdentityKind.PHONE: "+972501234567"}


@pytest.mark.parametrize("deed", [*SAID, *CLOUD_ALONE])
async def test_what_a_customer_of_the_cloud_number_does_is_read_as_what_it_is(cloud, world, deed):
    order, wanted = (SAID | CLOUD_ALONE)[deed]

    answer = await world.write(channel="cloud", **order)

    [event] = read_all(cloud, world)
    assert as_told(event, wanted) == wanted
    assert event.from_us is False
    if event.kind is not EventKind.IGNORED:
        assert event.provider_id == answer.json()["ids"][0]


async def test_a_person_with_a_username_alone_has_no_phone(cloud, world):
    await world.write(**{"channel": "cloud", "from": None, "username": "maya.l", "text": "x"})

    [sender] = senders(read_all(cloud, world))
    assert set(sender.identities) == {IdentityKind.BUSINESS_SCOPED_ID, IdentityKind.USERNAME}


@pytest.mark.parametrize("value", ["stop", "resume"])
async def test_a_preference_in_whatsapps_settings_is_a_consent(cloud, world, value):
    body = {"channel": "cloud", **DANA, "value": value}
    await world.client.post("/sim/phone/preference", json=body)

    [event] = read_all(cloud, world)
    assert (event.kind, event.details["value"]) == (EventKind.CONSENT, value)


async def test_what_the_owner_sends_from_the_app_is_ours(cloud, world):
    answer = await world.client.post("/sim/phone/owner", json={"channel": "cloud", **DANA, "text": "אני כאן"})

    [event] = read_all(cloud, world)
    assert (event.from_us, event.text, event.provider_id) == (True, "אני כאן", answer.json()["ids"][0])
    [sender] = senders([event])
    assert sender.identities[IdentityKind.PHONE] == "+972501234567"


async def test_a_template_that_meta_turned_down_is_told_with_its_reason(cloud, world):
    told = {"name": "spring_offer", "language": "he", "status": "REJECTED", "reason": "PROMOTIONAL"}
    await world.client.post("/sim/cloud/templates", json=told)

    [event] = read_all(cloud, world)
    assert event.kind is EventKind.TEMPLATE
    assert (event.details["name"], event.details["status"]) == ("spring_offer", "REJECTED")


async def test_statuses_of_the_cloud_number_name_the_message_and_the_callers_key(cloud, world):
    await world.behave(provider="whatsapp_cloud", fail_status_code=131026)
    await world.send_cloud(type="text", text={"body": "x"}, biz_opaque_callback_data="reply:1")
    await until(lambda: bool(world.receiver.bodies))

    [event] = read_all(cloud, world)
    assert (event.kind, event.status) == (EventKind.STATUS, "failed")
    assert (event.details["code"], event.details["effect_key"]) == ("131026", "reply:1")


async def test_a_hidden_id_is_a_lid_and_its_phone_is_known_only_where_whatsapp_told_it(bridge, world):
    await world.write(**{"from": None, "lid": "87621728518253", "text": "a", "name": "משה"})
    await world.write(**{"from": "972521234567", "lid": "82399031480511", "text": "b", "name": "מאיה"})

    hidden, known = senders(read_all(bridge, world))
    assert (hidden.identities, hidden.name) == ({IdentityKind.LID: "87621728518253"}, "משה")
    assert known.identities == {IdentityKind.PHONE: "+972521234567", IdentityKind.LID: "82399031480511"}


async def test_a_message_under_both_addresses_keeps_its_one_id(bridge, world):
    await world.write(**{"from": "972521234567", "lid": "82399031480511", "text": "x", "under_both": True})

    events = read_all(bridge, world)
    assert len({event.provider_id for event in events}) == 1
    assert {sender.address for sender in senders(events)} == {
        "82399031480511@lid",
        "972521234567@s.whatsapp.net",
    }


async def test_lines_in_one_webhook_are_messages_of_their_own(bridge, world):
    await world.write(texts=["א", "ב", "ג"], batch=True)

    assert len(world.receiver.bodies) == 1
    assert [event.text for event in read_all(bridge, world)] == ["א", "ב", "ג"]


@pytest.mark.parametrize("order", [{"text": "אני מתקשר"}, {"kind": "image"}, {"kind": "voice"}])
async def test_what_the_owner_sends_from_their_phone_is_ours_and_seen_by_the_customer(bridge, world, order):
    answer = await world.client.post("/sim/phone/owner", json={**DANA, **order})

    [event] = read_all(bridge, world)
    assert (event.from_us, event.provider_id) == (True, answer.json()["ids"][0])
    assert event.kind == order.get("kind", "text")
    [bubble] = await world.shown()
    assert bubble["direction"] == "received"


async def test_a_customer_who_looks_at_the_phone_has_read_the_message(bridge, world):
    await world.behave(echo=False, receipts=False)
    sent = (await world.send("hello")).json()["messageId"]
    await world.behave(receipts=True)

    looked = await world.client.post("/sim/phone/look", json=DANA)

    assert looked.json() == {"read": [sent]}
    await until(lambda: bool(world.receiver.bodies))
    [event] = read_all(bridge, world)
    assert (event.kind, event.status, event.target_id) == (EventKind.STATUS, "read", sent)
