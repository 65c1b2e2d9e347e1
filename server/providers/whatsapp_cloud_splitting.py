"""Cutting a webhook of Meta's WhatsApp Cloud API into its events.

A body holds entries, an entry changes, a change a list of messages, statuses and the like: all of
them are read. Ids are Meta's own where it gives one; what has none is named by its content.
Shapes: developers.facebook.com, WhatsApp Business Platform, webhook reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from server.errors import BadInputError
from server.ports import DeliveryStatus, Json, RawEvent
from server.providers.loose_json import list_of, object_of
from server.providers.raw_events import MOST_ENTRIES, NO_LANE, digest, storing_fault, unreadable, usable_id

MESSAGES = "messages"
ECHOES = "smb_message_echoes"
PREFERENCES = "user_preferences"
HISTORY = "history"
# What becomes of templates: each says it of one template.
TEMPLATES = frozenset(
    {
        "message_template_status_update",
        "message_template_quality_update",
        "message_template_components_update",
        "template_category_update",
    }
)
RECEIPTS = {
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    # A voice message that was listened to.
    "played": DeliveryStatus.READ,
    "failed": DeliveryStatus.FAILED,
}
# What a change's list holds, and how `read` is told of it.
LISTS = {
    (MESSAGES, "messages"): "message",
    (MESSAGES, "statuses"): "status",
    (MESSAGES, "errors"): "error",
    (ECHOES, "message_echoes"): "echo",
    (PREFERENCES, "user_preferences"): "preference",
}


def split(body: Json) -> Sequence[RawEvent]:
    """Cut a webhook's whole body; raise BadInputError only for more events than Meta can mean."""
    entries = body.get("entry")
    if not isinstance(entries, list):
        return [unreadable({"body": dict(body)}, "entry is not a list")]
    events: list[RawEvent] = []
    for wrapped in _parts(entries):
        if len(events) >= MOST_ENTRIES:
            raise BadInputError("too_many_messages", f"A webhook may hold {MOST_ENTRIES} events.")
        events.append(_event(wrapped))
    return events


def receipt_of(status: object) -> DeliveryStatus | None:
    """Return how far a message of ours came; None for a status that says nothing of that."""
    return RECEIPTS.get(status) if isinstance(status, str) else None


def lane_of(told: Json, contact: Json) -> str:
    """Return the lane of the chat that a message, an echo or a status belongs to.

    The business-scoped id is there for everybody and stays when a person hides their phone, so it
    goes before the phone.
    """
    names = (
        *(told.get("recipient_user_id"), told.get("to_user_id"), told.get("from_user_id")),
        *(told.get("user_id"), contact.get("user_id")),
        *(told.get("recipient_id"), told.get("to"), told.get("from"), told.get("wa_id")),
    )
    return next((name for value in names if (name := usable_id(value))), NO_LANE)


def _parts(entries: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield every event with what its change says of all of them."""
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("changes"), list):
            yield {"fault": "the entry has no list of changes", "part": entry}
            continue
        for change in entry["changes"]:
            value = object_of(change).get("value")
            field = object_of(change).get("field")
            if not isinstance(field, str) or not isinstance(value, dict):
                yield {"fault": "the change has no field or no value", "part": change}
                continue
            shell = {"field": field, "account": _number(value), "waba": entry.get("id")}
            yield from _of_change(field, value, shell, entry.get("time"))


def _of_change(
    field: str, value: dict[str, Any], shell: dict[str, Any], at: object
) -> Iterator[dict[str, Any]]:
    found = False
    contacts = [contact for contact in list_of(value.get("contacts")) if isinstance(contact, dict)]
    for (of_field, name), kind in LISTS.items():
        if field == of_field and name in value:
            found = True
            parts = value[name] if isinstance(value[name], list) else [value[name]]
            for part in parts:
                yield shell | {"kind": kind, "part": part, "contact": _contact_of(part, contacts)}
    if field == HISTORY and isinstance(value.get("history"), list):
        found = True
        yield from _of_history(value, shell)
    if not found:
        yield shell | {"kind": "other", "part": value, "at": at}


def _of_history(value: dict[str, Any], shell: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the messages of the past that a number brings with it, each with its chat."""
    business = object_of(value.get("metadata")).get("display_phone_number")
    for chunk in value["history"]:
        threads = object_of(chunk).get("threads")
        if not isinstance(threads, list):
            yield shell | {"kind": "other", "part": chunk}
            continue
        for thread in threads:
            chat = object_of(object_of(thread).get("context"))
            customer = {
                "wa_id": chat.get("wa_id") or object_of(thread).get("id"),
                "user_id": chat.get("user_id"),
            }
            for message in list_of(object_of(thread).get("messages")):
                yield shell | {"kind": "past", "part": message, "contact": customer, "business": business}


def _event(wrapped: dict[str, Any]) -> RawEvent:
    account = wrapped.get("account") or ""
    reason = wrapped.get("fault") or _fault(wrapped) or storing_fault(wrapped)
    if reason:
        return unreadable(wrapped, reason, account=account)
    part, contact = wrapped["part"], object_of(wrapped.get("contact"))
    match wrapped["kind"]:
        case "message" | "echo":
            return RawEvent(part["id"], lane_of(part, contact), wrapped, account=account)
        case "past":
            return RawEvent(part["id"], lane_of(contact, {}), wrapped, account=account)
        case "status" if receipt_of(part.get("status")):
            event_id = f"status:{part['id']}:{receipt_of(part['status'])}"
            return RawEvent(event_id, lane_of(part, contact), wrapped, account=account)
        case "preference":
            return RawEvent(f"consent:{digest(part)}", lane_of(part, contact), wrapped, account=account)
        case _:
            return RawEvent(f"other:{digest(wrapped)}", NO_LANE, wrapped, account=account)


def _fault(wrapped: dict[str, Any]) -> str | None:
    part = wrapped["part"]
    if not isinstance(part, dict):
        return "the event is not an object"
    if wrapped["kind"] not in {"message", "echo", "past", "status"}:
        return None
    if usable_id(part.get("id")) is None:
        return "id is missing or is not an id"
    if wrapped["kind"] == "status":
        return None
    body = part.get(part["type"]) if isinstance(part.get("type"), str) else None
    return None if body is None or isinstance(body, dict | list) else "the message's content is not an object"


def _contact_of(part: object, contacts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the change says of the one who wrote; never of somebody else in the batch."""
    told = object_of(part)
    phone, scoped = told.get("from") or told.get("wa_id"), told.get("from_user_id") or told.get("user_id")
    for contact in contacts:
        if (scoped and contact.get("user_id") == scoped) or (phone and contact.get("wa_id") == phone):
            return contact
    return {}


def _number(value: dict[str, Any]) -> str:
    return usable_id(object_of(value.get("metadata")).get("phone_number_id")) or ""
