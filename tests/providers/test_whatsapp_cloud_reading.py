"""What Meta posts, read into the house's words."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.ports import ChannelEvent, DeliveryStatus, EventKind, IdentityKind
from server.providers.whatsapp_cloud_reading import read
from server.providers.whatsapp_cloud_splitting import split
from tests.providers.test_whatsapp_bridge_reading import JSON

NUMBER = "106540352242922"
PHONE, SCOPED = "972501234567", "IL.13491208655302741918"
FIELDS = st.sampled_from(
    (
        *("entry", "changes", "value", "field", "metadata", "contacts", "messages", "statuses", "from", "id"),
        *("from_user_id", "type", "text", "body", "status", "errors", "code", "history", "threads", "image"),
        *("message_echoes", "user_preferences", "interactive", "edit", "message", "context", "reaction"),
        *("part", "kind", "contact", "timestamp", "profile", "biz_opaque_callback_data"),
    )
)
WORDS = st.sampled_from(
    (
        *("messages", "history", "text", "edit", "image", "failed", "message", "status", "echo", "past"),
        *("smb_message_echoes", "user_preferences", "preference", "other", PHONE, SCOPED),
    )
)
NEAR_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=8),
    max_leaves=40,
)


def webhook(field: str = "messages", **value: Any) -> dict[str, Any]:
    told = {"metadata": {"display_phone_number": "97230000000", "phone_number_id": NUMBER}} | value
    change = {"field": field, "value": told}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}


def message(kind: str = "text", /, content: object = None, **parts: Any) -> dict[str, Any]:
    told = {"from": PHONE, "from_user_id": SCOPED, "id": "wamid.X", "timestamp": "1781252132", "type": kind}
    return told | {kind: {"body": "שלום"} if content is None else content} | parts


def read_one(body: dict[str, Any]) -> ChannelEvent:
    [event] = split(body)
    return read(event.payload)


@given(NEAR_JSON | JSON)
def test_no_json_makes_reading_or_splitting_raise_and_every_event_can_be_stored(value):
    change = {"field": "messages", "value": value}
    kinds = ("message", "echo", "past", "status", "preference", "other")
    bodies = [
        {"entry": value},
        {"entry": [value]},
        {"entry": [{"changes": value}]},
        {"entry": [{"changes": [change, value]}]},
        webhook(messages=value, statuses=value, contacts=value),
        webhook("history", history=value),
        webhook(messages=[value, message()]),
    ]

    for body in bodies:
        for event in split(body):
            orjson.dumps(event.payload)
            assert 0 < len(event.event_id) <= 300
            assert "\x00" not in event.event_id + event.lane
            assert isinstance(read(event.payload), ChannelEvent)
    for kind in kinds:
        assert isinstance(read({"kind": kind, "part": value, "contact": value}), ChannelEvent)


def test_a_poisoned_message_is_kept_with_its_reason_and_holds_back_no_other():
    found = split(webhook(messages=[17, {"id": ""}, message("text", 5), message()], statuses=["x"]))

    assert [event.reason is None for event in found] == [False, False, False, True, False]
    assert [read(event.payload).kind for event in found][3:] == [EventKind.TEXT, EventKind.UNREADABLE]


def test_a_person_keeps_one_lane_whether_their_phone_is_told_or_not():
    with_both = message()
    without_phone = {name: value for name, value in message().items() if name != "from"}
    contact = {"wa_id": PHONE, "user_id": SCOPED}
    without_id = {name: value for name, value in message().items() if name != "from_user_id"}
    receipt = {"id": "wamid.B", "status": "read", "recipient_id": PHONE, "recipient_user_id": SCOPED}

    found = split(
        webhook(contacts=[contact], messages=[with_both, without_phone, without_id], statuses=[receipt])
    )

    assert {event.lane for event in found} == {SCOPED}


def test_every_entry_every_change_and_every_message_of_a_batch_is_read():
    entries = []
    for place in range(4):
        two = [message(id=f"wamid.{place}.{number}") for number in range(2)]
        entries += webhook(messages=two)["entry"]
    changes = [change for entry in entries[2:] for change in entry["changes"]]
    body = {"object": "whatsapp_business_account", "entry": [*entries[:2], {"id": "1", "changes": changes}]}

    found = [read(event.payload).provider_id for event in split(body)]

    assert found == [f"wamid.{place}.{number}" for place in range(4) for number in range(2)]


def test_a_batch_never_lends_one_persons_name_to_another():
    contacts = [{"wa_id": "972520000000", "user_id": "IL.2", "profile": {"name": "Noa"}}]

    event = read_one(webhook(contacts=contacts, messages=[message()]))

    assert event.sender is not None
    assert event.sender.name is None
    assert event.sender.identities[IdentityKind.BUSINESS_SCOPED_ID] == SCOPED


def test_a_receipt_is_named_by_message_and_status_and_brings_our_key_back():
    told = {"id": "wamid.B", "status": "delivered", "biz_opaque_callback_data": "reply:7", "recipient_id": ""}
    [event] = split(webhook(statuses=[told]))

    read_event = read(event.payload)

    assert event.event_id == "status:wamid.B:delivered"
    assert (read_event.status, read_event.details) == (DeliveryStatus.DELIVERED, {"effect_key": "reply:7"})


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (131047, "window_closed"),
        (131026, "unreachable"),
        (131049, "capped"),
        (131050, "opted_out"),
        (131042, "payment"),
        (131048, "policy"),
        (190, "credentials"),
        (132015, "template"),
        (132999, "template"),
        (999999, "other"),
    ],
)
def test_a_failed_status_says_what_it_means_for_the_business(code, meaning):
    told = {"id": "wamid.B", "status": "failed", "errors": [{"code": code, "title": "As Meta says it."}]}

    event = read_one(webhook(statuses=[told]))

    assert (event.details["code"], event.details["meaning"]) == (str(code), meaning)
    assert event.details["reason"]


def test_the_past_is_kept_and_never_answered_whoever_wrote():
    thread = {
        "id": PHONE,
        "messages": [message(id="wamid.1"), message(id="wamid.2") | {"from": "97230000000"}],
    }
    found = split(webhook("history", history=[{"metadata": {"phase": 0}, "threads": [thread]}]))

    told = [read(event.payload) for event in found]

    assert [event.from_us for event in told] == [False, True]
    assert {event.sender.address for event in told if event.sender} == {PHONE}
    assert all(event.details["history"] and not event.may_be_answered for event in told)


def test_an_edit_and_a_deletion_name_the_message_that_they_change():
    edit = {"original_message_id": "wamid.OLD", "message": {"type": "text", "text": {"body": "10:30"}}}
    edited = read_one(webhook(messages=[message("edit", edit)]))
    deleted = read_one(webhook(messages=[message("revoke", {"original_message_id": "wamid.OLD"})]))
    by_owner = read_one(webhook("smb_message_echoes", message_echoes=[message("edit", edit, to=PHONE)]))

    assert (edited.kind, edited.target_id, edited.text) == (EventKind.EDIT, "wamid.OLD", "10:30")
    assert (deleted.kind, deleted.target_id) == (EventKind.DELETE, "wamid.OLD")
    assert (by_owner.kind, by_owner.from_us) == (EventKind.EDIT, True)


def test_a_file_names_what_it_takes_to_fetch_it():
    told = {"id": "1908647269898587", "mime_type": "application/pdf", "filename": "quote.pdf", "caption": "x"}

    event = read_one(webhook(messages=[message("document", told)]))

    assert event.details == {
        "mimetype": "application/pdf",
        "file_name": "quote.pdf",
        "media": {"id": "1908647269898587"},
    }


@pytest.mark.parametrize(
    ("kind", "content", "wanted"),
    [
        ("location", {"latitude": 32.08, "longitude": 34.78, "name": "Shop"}, EventKind.LOCATION),
        ("contacts", [{"name": {"formatted_name": "Noa"}}], EventKind.CONTACT),
        ("sticker", {"id": "5", "mime_type": "image/webp", "animated": True}, EventKind.STICKER),
        ("interactive", {"type": "nfm_reply", "nfm_reply": {"response_json": "{}"}}, EventKind.CHOICE),
        ("interactive", {"button_reply": {"id": "yes", "title": "Yes"}}, EventKind.CHOICE),
        ("order", {"text": "Two please", "product_items": [{"quantity": 2}]}, EventKind.CHOICE),
        ("request_welcome", {}, EventKind.IGNORED),
        (
            "system",
            {"type": "user_changed_number", "wa_id": "972520000000", "body": "x"},
            EventKind.UNSUPPORTED,
        ),
        ("poll_of_next_year", {"x": 1}, EventKind.UNSUPPORTED),
    ],
)
def test_every_kind_is_read_as_what_it_is(kind, content, wanted):
    assert read_one(webhook(messages=[message(kind, content)])).kind is wanted


def test_an_advertisement_rides_on_any_message():
    event = read_one(webhook(messages=[message(referral={"ctwa_clid": "c", "source_id": "9", "x": 1})]))

    assert event.details["referral"] == {"ctwa_clid": "c", "source_id": "9"}
    assert event.may_be_answered


def test_news_of_a_template_has_no_sender_and_says_of_which():
    value = {
        "event": "PAUSED",
        "message_template_name": "appt",
        "message_template_language": "he",
        "reason": "NONE",
    }
    body = {"entry": [{"id": "1", "changes": [{"field": "message_template_status_update", "value": value}]}]}

    event = read_one(body)

    assert (event.kind, event.sender) == (EventKind.TEMPLATE, None)
    assert (event.details["name"], event.details["status"]) == ("appt", "PAUSED")


def test_a_group_is_never_answered():
    assert not read_one(webhook(messages=[message(group_id="G1")])).may_be_answered


def test_news_that_nobody_knows_is_kept_and_ignored():
    [event] = split(webhook("calls", calls=[{"id": "c"}]))

    assert event.reason is None
    assert read(event.payload).kind is EventKind.IGNORED


def test_the_same_preference_twice_is_one_event_and_another_is_another():
    told = {"wa_id": PHONE, "user_id": SCOPED, "category": "marketing_messages", "timestamp": 1781252410}
    first, again, later = split(
        webhook(
            "user_preferences",
            user_preferences=[told | {"value": "stop"}, told | {"value": "stop"}, told | {"value": "resume"}],
        )
    )

    assert first.event_id == again.event_id != later.event_id
    assert read(first.payload).details["value"] == "stop"


def test_a_message_says_which_number_it_came_to():
    [event] = split(webhook(messages=[message()]))

    assert event.account == NUMBER
