"""Reading one event that the splitting cut out, in the house's words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from server.ports import ChannelEvent, EventKind, IdentityKind, Json, Sender
from server.providers.loose_json import long_of, object_of, text_of
from server.providers.raw_events import usable_id
from server.providers.whatsapp_cloud_content import Content, read_content
from server.providers.whatsapp_cloud_errors import failure_of
from server.providers.whatsapp_cloud_splitting import TEMPLATES, receipt_of
from server.providers.whatsapp_jids import e164

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
LATEST_S = 253402300799  # the last second of the year 9999, datetime's own limit
LONGEST_NAME = 200
REFERRAL = ("ctwa_clid", "source_id", "source_type", "source_url", "headline", "body")


def read(payload: Json) -> ChannelEvent:
    """Read any JSON: UNREADABLE where it is no event, IGNORED where it is none of ours."""
    part, contact = object_of(payload.get("part")), object_of(payload.get("contact"))
    match payload.get("kind"):
        case "message":
            event = _message(part, contact)
        case "echo":
            event = _echo(part)
        case "past":
            event = _past(part, contact, payload.get("business"))
        case "status":
            event = _status(part)
        case "preference":
            event = _preference(part, contact)
        case "other" if payload.get("field") in TEMPLATES:
            event = _template(str(payload["field"]), part)
        case "other" | "error":
            event = ChannelEvent(EventKind.IGNORED, provider_id="")
        case _:
            event = ChannelEvent(EventKind.UNREADABLE, provider_id="")
    return event


def _message(part: dict[str, Any], contact: dict[str, Any]) -> ChannelEvent:
    content = read_content(part)
    profile = object_of(contact.get("profile"))
    sender = _person(
        phone=part.get("from") or contact.get("wa_id"),
        scoped=part.get("from_user_id") or contact.get("user_id"),
        username=profile.get("username") or contact.get("username"),
        name=profile.get("name"),
    )
    return _said(part, content, sender, chat="group" if part.get("group_id") else "person")


def _echo(part: dict[str, Any]) -> ChannelEvent:
    """Read what the owner wrote on the phone: the other side of the chat is the customer."""
    sender = _person(phone=part.get("to"), scoped=part.get("to_user_id"))
    return _said(
        part, read_content(part), sender, from_us=True, chat="group" if part.get("group_id") else "person"
    )


def _past(part: dict[str, Any], customer: dict[str, Any], business: object) -> ChannelEvent:
    from_us = isinstance(business, str) and _digits(part.get("from")) == _digits(business)
    sender = _person(phone=customer.get("wa_id"), scoped=customer.get("user_id"))
    return _said(part, read_content(part), sender, from_us=from_us, history=True)


def _said(
    part: dict[str, Any],
    content: Content,
    sender: Sender | None,
    *,
    from_us: bool = False,
    history: bool = False,
    chat: str = "person",
) -> ChannelEvent:
    message_id = usable_id(part.get("id"))
    if message_id is None:
        return ChannelEvent(EventKind.UNREADABLE, provider_id="")
    is_question = content.kind in ANSWERABLE and (
        content.kind is not EventKind.TEXT or content.text is not None
    )
    may_be = is_question and not (from_us or history) and chat == "person"
    context = object_of(part.get("context"))
    return ChannelEvent(
        content.kind,
        provider_id=message_id,
        sender=sender,
        text=content.text,
        sent_at=_moment(part.get("timestamp")),
        from_us=from_us,
        may_be_answered=may_be and sender is not None and bool(sender.identities),
        chat=chat,
        target_id=content.target_id,
        quoted_id=usable_id(context.get("id")),
        details=dict(content.details) | _around(part, context) | ({"history": True} if history else {}),
    )


def _around(part: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    """Return what rides on a message of any kind: its advertisement, and that it was forwarded."""
    referral = object_of(part.get("referral"))
    told = {name: text for name in REFERRAL if (text := text_of(referral.get(name)))}
    is_forwarded = context.get("forwarded") is True or context.get("frequently_forwarded") is True
    return ({"referral": told} if told else {}) | ({"forwarded": True} if is_forwarded else {})


def _status(part: dict[str, Any]) -> ChannelEvent:
    message_id, receipt = usable_id(part.get("id")), receipt_of(part.get("status"))
    if message_id is None:
        return ChannelEvent(EventKind.UNREADABLE, provider_id="")
    if receipt is None:
        return ChannelEvent(EventKind.IGNORED, provider_id=message_id)
    details: dict[str, Any] = failure_of(part.get("errors")) if receipt == "failed" else {}
    if key := text_of(part.get("biz_opaque_callback_data")):
        details["effect_key"] = key
    return ChannelEvent(
        EventKind.STATUS,
        provider_id=message_id,
        sent_at=_moment(part.get("timestamp")),
        status=receipt,
        details=details,
    )


def _preference(part: dict[str, Any], contact: dict[str, Any]) -> ChannelEvent:
    sender = _person(
        phone=part.get("wa_id") or contact.get("wa_id"),
        scoped=part.get("user_id") or contact.get("user_id"),
        name=object_of(contact.get("profile")).get("name"),
    )
    names = ("category", "value", "detail")
    return ChannelEvent(
        EventKind.CONSENT,
        provider_id="",
        sender=sender,
        sent_at=_moment(part.get("timestamp")),
        details={name: text for name in names if (text := text_of(part.get(name)))},
    )


def _template(field: str, part: dict[str, Any]) -> ChannelEvent:
    reason = text_of(part.get("reason")) or text_of(object_of(part.get("rejection_info")).get("reason"))
    told = {
        "field": field,
        "name": text_of(part.get("message_template_name")),
        "language": text_of(part.get("message_template_language")),
        "status": text_of(part.get("event")),
        "category": text_of(part.get("new_category")) or text_of(part.get("message_template_category")),
        "quality": text_of(part.get("new_quality_score")),
        "reason": reason,
    }
    return ChannelEvent(
        EventKind.TEMPLATE,
        provider_id="",
        details={name: value for name, value in told.items() if value is not None},
    )


def _person(*, phone: object, scoped: object, username: object = None, name: object = None) -> Sender | None:
    """Return one side of a chat; its address is the phone where Meta tells it, else the scoped id."""
    digits, scoped_id = usable_id(phone), usable_id(scoped)
    address = digits or scoped_id
    if address is None:
        return None
    told: Mapping[IdentityKind, str | None] = {
        IdentityKind.PHONE: e164(_digits(digits)) if digits else None,
        IdentityKind.BUSINESS_SCOPED_ID: scoped_id,
        IdentityKind.USERNAME: text_of(username),
    }
    identities = {kind: value for kind, value in told.items() if value}
    return Sender(address, identities, (text_of(name) or "")[:LONGEST_NAME] or None)


def _digits(told: object) -> str:
    return "".join(each for each in told if each in "0123456789") if isinstance(told, str) else ""


def _moment(told: object) -> datetime | None:
    seconds = long_of(told)
    return datetime.fromtimestamp(seconds, UTC) if seconds and 0 < seconds <= LATEST_S else None
