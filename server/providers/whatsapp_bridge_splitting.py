"""Cutting a bridge's webhook into its events, each with its id, its lane and, if bad, its reason.

Ids are the sender's own: a bridge repeats a webhook for minutes, and the same message may come
under a hidden id and under a phone, so that nothing but the message's id can tell two apart.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.errors import BadInputError
from server.ports import DeliveryStatus, Json, RawEvent
from server.providers.loose_json import long_of, object_of
from server.providers.raw_events import MOST_ENTRIES, NO_LANE, digest, storing_fault, unreadable, usable_id
from server.providers.whatsapp_jids import parse_jid

MESSAGES = "messages.upsert"
UPDATES = "messages.update"

# Baileys' proto.WebMessageInfo.Status; 1 is PENDING, which says nothing that we do not know.
RECEIPTS = {
    0: DeliveryStatus.FAILED,
    2: DeliveryStatus.SENT,
    3: DeliveryStatus.DELIVERED,
    4: DeliveryStatus.READ,
    5: DeliveryStatus.READ,
}
RECEIPT_NAMES = {"ERROR": 0, "SERVER_ACK": 2, "DELIVERY_ACK": 3, "READ": 4, "PLAYED": 5}


def split(body: Json) -> Sequence[RawEvent]:
    """Cut a webhook's whole body; raise BadInputError only for more entries than a bridge can mean."""
    event, payload = body.get("event", MESSAGES), body.get("payload")
    if not isinstance(event, str):
        return [unreadable({"event": event, "payload": payload}, "event is not a text")]
    if event not in {MESSAGES, UPDATES}:
        return [_other(event, payload)]
    entries = object_of(payload).get("messages" if event == MESSAGES else "updates")
    if not isinstance(entries, list):
        return [unreadable({"event": event, "payload": payload}, "payload has no list of entries")]
    if len(entries) > MOST_ENTRIES:
        raise BadInputError("too_many_messages", f"A webhook may hold {MOST_ENTRIES} entries.")
    if event == UPDATES:
        return [_update(entry) for entry in entries]
    arrival = object_of(payload).get("type")
    return [_message(entry, arrival) for entry in entries]


def receipt_of(update: object) -> DeliveryStatus | None:
    """Return how far a message of ours came; None for an update that says nothing of that."""
    told = object_of(update).get("status")
    number = RECEIPT_NAMES.get(told) if isinstance(told, str) else long_of(told)
    return None if number is None else RECEIPTS.get(number)


def _message(entry: object, arrival: object) -> RawEvent:
    wrapped = {"event": MESSAGES, "type": arrival, "message": entry}
    reason = _message_fault(entry) or storing_fault(wrapped)
    if reason:
        return unreadable(wrapped, reason)
    told = object_of(entry)
    event_id = told["key"]["id"]
    if told.get("message") is None:
        # A message that could not be decrypted comes again under its id, then with its content.
        event_id = f"stub:{event_id}"
    return RawEvent(event_id, str(parse_jid(told["key"]["remoteJid"])), wrapped)


def _update(entry: object) -> RawEvent:
    wrapped = {"event": UPDATES, "update": entry}
    reason = _key_fault(entry) or storing_fault(wrapped)
    if reason:
        return unreadable(wrapped, reason)
    told = object_of(entry)
    lane = str(parse_jid(told["key"]["remoteJid"]))
    receipt = receipt_of(told.get("update"))
    if receipt is None or told["key"].get("fromMe") is False:
        return RawEvent(f"update:{digest(wrapped)}", lane, wrapped)
    return RawEvent(f"status:{told['key']['id']}:{receipt}", lane, wrapped)


def _message_fault(entry: object) -> str | None:
    content = object_of(entry).get("message")
    if content is not None and not isinstance(content, dict):
        return _key_fault(entry) or "message is not an object"
    return _key_fault(entry)


def _key_fault(entry: object) -> str | None:
    if not isinstance(entry, dict):
        return "the entry is not an object"
    key = entry.get("key")
    if not isinstance(key, dict):
        return "key is not an object"
    if usable_id(key.get("id")) is None:
        return "key.id is missing or is not an id"
    if parse_jid(key.get("remoteJid")) is None:
        return "key.remoteJid is missing or is not an address"
    return None


def _other(event: str, payload: object) -> RawEvent:
    """Keep an event that is not about messages: nothing is done with it, and nothing is lost."""
    wrapped = {"event": event, "payload": payload}
    if reason := storing_fault(wrapped):
        return unreadable(wrapped, reason)
    return RawEvent(f"other:{digest(wrapped)}", NO_LANE, wrapped)
