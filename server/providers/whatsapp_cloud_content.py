"""What a message of the Cloud API says: its kind, its words and its particulars.

`type` names the object that holds the content; a type that nobody knows yet is kept as unsupported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from server.ports import EventKind
from server.providers.loose_json import NUL, count_of, list_of, number_of, object_of, text_of
from server.providers.raw_events import usable_id
from server.providers.whatsapp_cards import told_cards

MOST_ITEMS = 50
LONGEST_FORM = 10_000


@dataclass(frozen=True)
class Content:
    """What one message says; `target_id` is the message that it changes or reacts to."""

    kind: EventKind
    text: str | None = None
    target_id: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


def read_content(message: Mapping[str, Any]) -> Content:
    """Read a message's content; what nobody knows yet is UNSUPPORTED."""
    content = _read(message, message.get("type"))
    details = {name: value for name, value in content.details.items() if value is not None}
    return Content(content.kind, content.text, content.target_id, details)


def _read(message: Mapping[str, Any], told: object) -> Content:
    match told:
        case "contacts":
            return _cards(list_of(message.get(told)))
        case str() if told in READERS:
            return READERS[told](object_of(message.get(told)))
        case _:
            return _unsupported(message)


def _text(body: dict[str, Any]) -> Content:
    told = body.get("body")
    removed = isinstance(told, str) and NUL in told
    return Content(EventKind.TEXT, text_of(told), details={"nul_removed": True} if removed else {})


def _file(kind: EventKind) -> Callable[[dict[str, Any]], Content]:
    def read(body: dict[str, Any]) -> Content:
        media_id = usable_id(body.get("id"))
        details = {
            "mimetype": text_of(body.get("mime_type")),
            "file_name": text_of(body.get("filename")),
            "size_bytes": count_of(body.get("file_size")),
            "animated": True if body.get("animated") is True else None,
            "media": {"id": media_id} if media_id else None,
        }
        return Content(kind, text_of(body.get("caption")), details=details)

    return read


def _audio(body: dict[str, Any]) -> Content:
    return _file(EventKind.VOICE if body.get("voice") is True else EventKind.AUDIO)(body)


def _location(body: dict[str, Any]) -> Content:
    details = {
        "latitude": number_of(body.get("latitude")),
        "longitude": number_of(body.get("longitude")),
        "name": text_of(body.get("name")),
        "address": text_of(body.get("address")),
    }
    return Content(EventKind.LOCATION, details=details)


def _cards(cards: list[Any]) -> Content:
    return Content(EventKind.CONTACT, details={"cards": told_cards(map(_told_card, cards))})


def _told_card(card: object) -> tuple[str | None, list[object]]:
    told = object_of(card)
    phones = [object_of(one).get("phone") for one in list_of(told.get("phones"))]
    return text_of(object_of(told.get("name")).get("formatted_name")), phones


def _button(body: dict[str, Any]) -> Content:
    return _choice(body.get("payload"), body.get("text"))


def _interactive(body: dict[str, Any]) -> Content:
    for name in ("button_reply", "list_reply"):
        if isinstance(reply := body.get(name), dict):
            return _choice(reply.get("id"), reply.get("title"))
    form = object_of(body.get("nfm_reply"))
    answers = text_of(form.get("response_json"))
    told = _choice(form.get("name"), form.get("body"))
    return Content(
        told.kind, told.text, details=told.details | {"form": (answers or "")[:LONGEST_FORM] or None}
    )


def _choice(choice_id: object, text: object) -> Content:
    chosen = text_of(choice_id)
    return Content(EventKind.CHOICE, text_of(text) or chosen, details={"choice_id": chosen})


def _order(body: dict[str, Any]) -> Content:
    items = [
        {
            "product": text_of(object_of(item).get("product_retailer_id")),
            "quantity": number_of(object_of(item).get("quantity")),
            "price": number_of(object_of(item).get("item_price")),
            "currency": text_of(object_of(item).get("currency")),
        }
        for item in list_of(body.get("product_items"))[:MOST_ITEMS]
    ]
    return Content(EventKind.CHOICE, text_of(body.get("text")), details={"order": items})


def _reaction(body: dict[str, Any]) -> Content:
    # No emoji means that the reaction was taken back.
    return Content(EventKind.REACTION, text_of(body.get("emoji")) or "", usable_id(body.get("message_id")))


def _revoke(body: dict[str, Any]) -> Content:
    target = usable_id(body.get("original_message_id"))
    return Content(EventKind.DELETE if target else EventKind.UNSUPPORTED, target_id=target)


def _edit(body: dict[str, Any]) -> Content:
    target = usable_id(body.get("original_message_id"))
    inner = object_of(body.get("message"))
    is_nested = inner.get("type") in {"edit", "revoke"}
    text = None if is_nested else read_content(inner).text
    return Content(EventKind.EDIT if target else EventKind.UNSUPPORTED, text, target)


def _system(body: dict[str, Any]) -> Content:
    """Read news of the customer themselves, such as their new number: shown, never answered."""
    details = {"system": text_of(body.get("type")), "new_wa_id": usable_id(body.get("wa_id"))}
    return Content(EventKind.UNSUPPORTED, text_of(body.get("body")), details=details)


def _welcome(_: dict[str, Any]) -> Content:
    # The chat was opened, and nothing was said yet.
    return Content(EventKind.IGNORED)


def _unsupported(message: Mapping[str, Any]) -> Content:
    error = object_of(next(iter(list_of(message.get("errors"))), None))
    told = object_of(message.get("unsupported")).get("type") or message.get("type")
    details = {"type": usable_id(told), "reason": text_of(error.get("title"))}
    return Content(EventKind.UNSUPPORTED, details=details)


READERS: Mapping[str, Callable[[dict[str, Any]], Content]] = {
    "text": _text,
    "image": _file(EventKind.IMAGE),
    "video": _file(EventKind.VIDEO),
    "document": _file(EventKind.DOCUMENT),
    "audio": _audio,
    "voice": _file(EventKind.VOICE),
    "sticker": _file(EventKind.STICKER),
    "location": _location,
    "button": _button,
    "interactive": _interactive,
    "order": _order,
    "reaction": _reaction,
    "revoke": _revoke,
    "edit": _edit,
    "system": _system,
    "request_welcome": _welcome,
}
