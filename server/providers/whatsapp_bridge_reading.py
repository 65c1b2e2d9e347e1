"""Reading one event that the splitting cut out, in the house's words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from server.ports import ChannelEvent, EventKind, IdentityKind, Json, Sender
from server.providers.loose_json import NUL, long_of, object_of, text_of
from server.providers.raw_events import usable_id
from server.providers.whatsapp_bridge_content import Content, read_content
from server.providers.whatsapp_bridge_splitting import MESSAGES, UPDATES, receipt_of
from server.providers.whatsapp_jids import Jid, e164, parse_jid

# Old protocol messages, stubs and receipts are no questions; these may be.
ANSWERABLE = frozenset(
    {
        EventKind.TEXT,
        EventKind.IMAGE,
        EventKind.VIDEO,
        EventKind.DOCUMENT,
        EventKind.AUDIO,
        EventKind.VOICE,
        EventKind.STICKER,
        EventKind.LOCATION,
        EventKind.CONTACT,
        EventKind.CHOICE,
    }
)
HISTORY = "append"
LATEST_S = 253402300799  # the last second of the year 9999, datetime's own limit
LONGEST_NAME = 200


def read(payload: Json) -> ChannelEvent:
    """Read any JSON: UNREADABLE where it is no event, IGNORED where it is none of ours."""
    event = payload.get("event")
    if event == MESSAGES:
        return _message(object_of(payload.get("message")), payload.get("type"))
    if event == UPDATES:
        return _update(object_of(payload.get("update")))
    is_other = isinstance(event, str) and "unreadable" not in payload
    kind = EventKind.IGNORED if is_other else EventKind.UNREADABLE
    return ChannelEvent(kind, provider_id="", sender=None)


def _update(entry: dict[str, Any]) -> ChannelEvent:
    key = object_of(entry.get("key"))
    message_id = usable_id(key.get("id"))
    if message_id is None:
        return ChannelEvent(EventKind.UNREADABLE, provider_id="", sender=None)
    receipt = receipt_of(entry.get("update"))
    if receipt is None or key.get("fromMe") is False:
        return ChannelEvent(EventKind.IGNORED, provider_id=message_id, sender=None)
    return ChannelEvent(
        EventKind.STATUS, provider_id=message_id, sender=None, target_id=message_id, status=receipt
    )


def _message(entry: dict[str, Any], arrival: object) -> ChannelEvent:
    key = object_of(entry.get("key"))
    message_id, chat = usable_id(key.get("id")), parse_jid(key.get("remoteJid"))
    message = entry.get("message")
    if message_id is None or chat is None or not (message is None or isinstance(message, dict)):
        return ChannelEvent(EventKind.UNREADABLE, provider_id="", sender=None)
    content = read_content(message or {})
    from_us = _is_ours(key)
    sender = _sender(entry, key, chat, content.quoted_author)
    return ChannelEvent(
        kind=content.kind,
        provider_id=message_id,
        sender=sender,
        text=content.text,
        sent_at=_moment(entry.get("messageTimestamp")),
        from_us=from_us,
        may_be_answered=(
            chat.chat == "person"
            and not from_us
            and arrival != HISTORY
            and content.kind in ANSWERABLE
            and (content.kind is not EventKind.TEXT or content.text is not None)
            and bool(sender.identities)
        ),
        chat=chat.chat,
        target_id=content.target_id,
        quoted_id=content.quoted_id,
        details=_details(content, message or {}, arrival),
    )


def _details(content: Content, message: dict[str, Any], arrival: object) -> dict[str, Any]:
    details = dict(content.details)
    if arrival == HISTORY:
        details["history"] = True
    if NUL in (_first_words(message) or ""):
        details["nul_removed"] = True
    return details


def _first_words(message: dict[str, Any]) -> str | None:
    told = message.get("conversation") or object_of(message.get("extendedTextMessage")).get("text")
    return told if isinstance(told, str) else None


def _is_ours(key: dict[str, Any]) -> bool:
    told = key.get("fromMe")
    # In doubt it is ours: to take our own words for a customer's would start a talk with ourselves.
    return not (told is None or told is False or told in ("false", "0", "", 0))


def _sender(entry: dict[str, Any], key: dict[str, Any], chat: Jid, quoted_author: str | None) -> Sender:
    """Tell who wrote; of our own messages, to whom: in both cases the other side of the chat."""
    addresses = list(_addresses(key, chat))
    identities: dict[IdentityKind, str] = {}
    for jid in addresses:
        if phone := jid.phone:
            identities.setdefault(IdentityKind.PHONE, phone)
        if lid := jid.lid:
            identities.setdefault(IdentityKind.LID, lid)
    name = None
    if not _is_ours(key):
        name = (text_of(entry.get("pushName")) or "")[:LONGEST_NAME] or None
        resolved = _resolved_phone(entry, identities.get(IdentityKind.LID), quoted_author)
        if resolved:
            identities.setdefault(IdentityKind.PHONE, resolved)
    return Sender(address=str(key["remoteJid"]), identities=identities, name=name)


def _addresses(key: dict[str, Any], chat: Jid) -> Iterator[Jid]:
    """Yield the sender's addresses, the surest first; never one out of the message's content."""
    names = ["remoteJid", "remoteJidAlt"]
    if chat.chat != "person":
        names = ["participant", "participantAlt", "participantPn", "participantLid"]
    elif not _is_ours(key):
        names += ["senderPn", "senderLid"]
    for name in names:
        if jid := parse_jid(key.get(name)):
            yield jid


def _resolved_phone(entry: dict[str, Any], lid: str | None, quoted_author: str | None) -> str | None:
    """Return the phone that the bridge looked up, unless it mistook other digits for one."""
    told = text_of(object_of(entry.get("_lid_metadata")).get("resolved_phone")) or ""
    phone = e164("".join(character for character in told if character in "0123456789"))
    quoted = parse_jid(quoted_author)
    if phone is None or phone == f"+{lid}" or (quoted and phone == quoted.phone):
        return None
    return phone


def _moment(told: object) -> datetime | None:
    seconds = long_of(told)
    return datetime.fromtimestamp(seconds, UTC) if seconds and 0 < seconds <= LATEST_S else None
