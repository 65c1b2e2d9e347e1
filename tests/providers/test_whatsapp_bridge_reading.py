"""What a bridge posts, read into the house's words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.ports import ChannelEvent, DeliveryStatus, EventKind, IdentityKind, Sender
from server.providers.whatsapp_bridge_reading import read as read_event
from server.providers.whatsapp_bridge_splitting import split as split_webhook

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    [
        "key",
        "id",
        "remoteJid",
        "fromMe",
        "message",
        "conversation",
        "extendedTextMessage",
        "text",
        "contextInfo",
        "stanzaId",
        "audioMessage",
        "seconds",
        "mediaKey",
        "data",
        "protocolMessage",
        "editedMessage",
        "reactionMessage",
        "messageTimestamp",
        "low",
        "high",
        "pushName",
        "_lid_metadata",
        "resolved_phone",
        "update",
        "status",
        "type",
        "interactiveResponseMessage",
        "nativeFlowResponseMessage",
        "paramsJson",
    ]
)
WORDS = st.sampled_from(["972501234567@s.whatsapp.net", "3EB0", "notify", "87621728518253@lid", "REVOKE"])
NEAR_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=8),
    max_leaves=40,
)


def entry(content, **key) -> dict[str, Any]:
    return {
        "key": {"remoteJid": "972501234567@s.whatsapp.net", "fromMe": False, "id": "3EB0X"} | key,
        "messageTimestamp": 1770500000,
        "pushName": "דנה",
        "message": content,
    }


def webhook(*messages, **payload) -> dict[str, Any]:
    return {"tenantId": "business_6", "payload": {"type": "notify", "messages": list(messages)} | payload}


def read_one(content, **key) -> ChannelEvent:
    (event,) = split_webhook(webhook(entry(content, **key)))
    return read_event(event.payload)


def sender_of(payload) -> Sender:
    sender = read_event(payload).sender
    assert sender is not None
    return sender


def update(status, **key) -> dict[str, Any]:
    told = {"key": {"remoteJid": "972501234567@s.whatsapp.net", "id": "3EB0OURS", "fromMe": True} | key}
    return {
        "tenantId": "business_6",
        "event": "messages.update",
        "payload": {"updates": [told | {"update": {"status": status}}]},
    }


@given(NEAR_JSON | JSON)
def test_no_json_makes_reading_raise(value):
    payload = value if isinstance(value, dict) else {"event": "messages.upsert", "message": value}

    assert isinstance(read_event(payload), ChannelEvent)
    assert isinstance(read_event({"event": "messages.upsert", "message": value}), ChannelEvent)
    assert isinstance(read_event({"event": "messages.update", "update": value}), ChannelEvent)
    assert isinstance(read_event({"event": "messages.upsert", "message": entry(value)}), ChannelEvent)


@given(NEAR_JSON | JSON)
def test_no_json_makes_splitting_raise_and_every_event_can_be_stored(value):
    bodies = [
        {"payload": value},
        {"payload": {"messages": value}},
        {"payload": {"messages": [value, entry({"conversation": "x"})]}},
        {"event": "messages.update", "payload": {"updates": [value]}},
        {"event": value, "payload": {}},
    ]

    for body in bodies:
        for event in split_webhook(body):
            orjson.dumps(event.payload)
            assert 0 < len(event.event_id) <= 250
            assert "\x00" not in event.event_id + event.lane
            read_event(event.payload)


def test_the_same_message_under_hidden_id_and_phone_is_one_event():
    as_lid, as_phone = split_webhook(
        webhook(
            entry({"conversation": "x"}, remoteJid="87621728518253@lid"),
            entry({"conversation": "x"}, remoteJid="972501234567@c.us"),
        )
    )

    assert as_lid.event_id == as_phone.event_id == "3EB0X"


def test_a_lane_is_the_chat_whichever_device_wrote():
    (event,) = split_webhook(
        webhook(entry({"conversation": "x"}, remoteJid="972501234567:12@s.whatsapp.net"))
    )

    assert event.lane == "972501234567@s.whatsapp.net"
    assert sender_of(event.payload).address == "972501234567:12@s.whatsapp.net"


@pytest.mark.parametrize(
    "poison",
    [
        17,
        None,
        [],
        {},
        {"key": {}},
        {"key": {"id": 5}, "message": {}},
        entry(17),
        entry({}, id=""),
    ],
)
def test_a_poisoned_entry_is_kept_with_its_reason_and_holds_back_no_other(poison):
    first, second = split_webhook(webhook(poison, entry({"conversation": "x"}, id="GOOD")))

    assert first.event_id.startswith("unreadable:")
    assert first.lane == "unreadable"
    assert first.reason
    assert read_event(first.payload).kind is EventKind.UNREADABLE
    assert second.event_id == "GOOD"
    assert second.reason is None


def test_an_undecryptable_message_leaves_its_id_free_for_the_readable_one():
    stub, message = split_webhook(webhook(entry(None), entry({"conversation": "x"})))

    assert stub.event_id != message.event_id == "3EB0X"


def test_poison_sent_twice_is_one_event():
    one, other = split_webhook(webhook({"b": 1, "a": 2}, {"a": 2, "b": 1}))

    assert one.event_id == other.event_id


def test_a_message_nested_without_end_is_kept_as_unreadable():
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = {"x": deep}

    (event,) = split_webhook(webhook(entry({"conversation": "hello", "messageContextInfo": deep})))

    orjson.dumps(event.payload)
    assert event.reason
    assert read_event(event.payload).kind is EventKind.UNREADABLE


def test_messages_that_are_no_list_are_one_unreadable_event():
    (event,) = split_webhook({"tenantId": "6", "payload": {"messages": "x"}})

    assert event.reason


def test_an_unknown_event_is_kept_and_ignored():
    (event,) = split_webhook({"tenantId": "6", "event": "connection.update", "payload": {"x": 1}})

    assert event.reason is None
    assert read_event(event.payload).kind is EventKind.IGNORED


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (0, DeliveryStatus.FAILED),
        (2, DeliveryStatus.SENT),
        (3, DeliveryStatus.DELIVERED),
        (4, DeliveryStatus.READ),
        (5, DeliveryStatus.READ),
        ("READ", DeliveryStatus.READ),
    ],
)
def test_a_receipt_is_named_by_message_and_status(told, status):
    (event,) = split_webhook(update(told))

    assert event.event_id == f"status:3EB0OURS:{status}"
    assert event.lane == "972501234567@s.whatsapp.net"
    read = read_event(event.payload)
    assert (read.kind, read.provider_id, read.status) == (EventKind.STATUS, "3EB0OURS", status)


@pytest.mark.parametrize("told", [1, None, True, 99, "x"])
def test_an_update_without_a_fate_is_ignored(told):
    (event,) = split_webhook(update(told))

    assert read_event(event.payload).kind is EventKind.IGNORED


def test_a_receipt_of_a_customers_message_tells_nothing():
    (event,) = split_webhook(update(3, fromMe=False))

    assert read_event(event.payload).kind is EventKind.IGNORED


@pytest.mark.parametrize("length", [4096, 4097, 60_000])
def test_a_long_text_is_kept_whole(length):
    assert read_one({"conversation": "א" * length}).text == "א" * length


def test_control_characters_are_kept_and_nul_is_noted():
    event = read_one({"extendedTextMessage": {"text": "a\x07\x00\u202eb\x00"}})

    assert event.text == "a\x07\u202eb"
    assert event.details["nul_removed"]


def test_a_hidden_ids_digits_are_never_a_phone():
    payload = entry({"conversation": "x"}, remoteJid="87621728518253@lid")
    payload["_lid_metadata"] = {"resolved_phone": "+87621728518253"}
    (event,) = split_webhook(webhook(payload))

    assert sender_of(event.payload).identities == {IdentityKind.LID: "87621728518253"}


def test_a_resolvers_phone_is_taken_where_the_message_has_none():
    payload = entry({"conversation": "x"}, remoteJid="87621728518253@lid")
    payload["_lid_metadata"] = {"resolved_phone": "+972501234567"}
    (event,) = split_webhook(webhook(payload))

    assert sender_of(event.payload).identities[IdentityKind.PHONE] == "+972501234567"


def test_our_own_number_is_never_the_customers():
    event = read_one(
        {"conversation": "x"},
        remoteJid="87621728518253@lid",
        fromMe=True,
        senderPn="97230000000@s.whatsapp.net",
    )

    assert event.sender == Sender("87621728518253@lid", {IdentityKind.LID: "87621728518253"})


def test_a_card_keeps_its_numbers_however_they_are_written():
    vcard = (
        "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Eli\r\nitem1.TEL;type=CELL;waid=972541112233:+972 54-111-2233\r\n"
        "TEL;TYPE=work,voice:03-5551234\r\nNOTE:TEL:1\r\nPHOTO;ENCODING=b:TELTEL\r\nEND:VCARD"
    )
    told = {"contacts": [{"displayName": "Eli", "vcard": vcard}, {"vcard": 7}, {"displayName": "Noa"}, None]}

    event = read_one({"contactsArrayMessage": told})

    assert event.kind is EventKind.CONTACT
    assert event.details["cards"] == [
        {"name": "Eli", "phones": ["+972 54-111-2233", "03-5551234"]},
        {"name": "Noa", "phones": []},
    ]


def test_the_author_of_a_quoted_message_is_not_the_sender():
    event = read_one(
        {
            "extendedTextMessage": {
                "text": "yes",
                "contextInfo": {"stanzaId": "OURS", "participant": "972531112223@s.whatsapp.net"},
            }
        }
    )

    assert event.sender is not None
    assert event.sender.identities == {IdentityKind.PHONE: "+972501234567"}
    assert event.quoted_id == "OURS"


@pytest.mark.parametrize(
    "jid", ["120363041234567890@g.us", "status@broadcast", "12036@newsletter", "1@broadcast"]
)
def test_only_a_persons_chat_may_be_answered(jid):
    event = read_one({"conversation": "x"}, remoteJid=jid, participant="972501234567@s.whatsapp.net")

    assert not event.may_be_answered
    assert event.chat != "person"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (1770500000, datetime(2026, 2, 7, 21, 33, 20, tzinfo=UTC)),
        ("1770500000", datetime(2026, 2, 7, 21, 33, 20, tzinfo=UTC)),
        ({"low": 1770500000, "high": 0, "unsigned": True}, datetime(2026, 2, 7, 21, 33, 20, tzinfo=UTC)),
        ({"low": -1, "high": 0}, datetime.fromtimestamp(4294967295, UTC)),
        (0, None),
        (-5, None),
        (True, None),
        ("soon", None),
        (10**15, None),
        (None, None),
    ],
)
def test_a_moment_is_read_however_it_is_written(told, expected):
    payload = entry({"conversation": "x"}) | {"messageTimestamp": told}
    (event,) = split_webhook(webhook(payload))

    assert read_event(event.payload).sent_at == expected


def test_bytes_written_as_a_buffer_disturb_nothing():
    event = read_one({"imageMessage": {"caption": "x", "mediaKey": {"type": "Buffer", "data": [1, 2, 3]}}})

    assert (event.kind, event.text) == (EventKind.IMAGE, "x")


def test_a_place_on_the_equator_keeps_its_latitude():
    event = read_one({"locationMessage": {"degreesLatitude": 0, "degreesLongitude": 34.78}})

    assert event.details["latitude"] == 0


def test_an_interactive_answer_keeps_its_id():
    event = read_one(
        {
            "interactiveResponseMessage": {
                "body": {"text": "כן"},
                "nativeFlowResponseMessage": {"name": "menu", "paramsJson": '{"id":"yes_1"}'},
            }
        }
    )

    assert (event.kind, event.text, event.details["choice_id"]) == (EventKind.CHOICE, "כן", "yes_1")


def test_wrappers_are_taken_off_one_in_another():
    inner = {"ephemeralMessage": {"message": {"viewOnceMessage": {"message": {"conversation": "x"}}}}}

    assert read_one(inner).text == "x"


def test_history_is_kept_and_never_answered():
    (event,) = split_webhook(webhook(entry({"conversation": "x"}), type="append"))

    read = read_event(event.payload)
    assert not read.may_be_answered
    assert read.details["history"] is True
