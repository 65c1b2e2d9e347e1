"""What the `message` object of a Baileys event says: its kind, its words and its particulars.

An object has one key that names its content, such as `imageMessage`; wrappers (disappearing
messages, view once) hold another such object. Keys that are not content stand beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from server.ports import EventKind
from server.providers.loose_json import count_of, list_of, number_of, object_of, text_of
from server.providers.whatsapp_bridge_files import media_of
from server.providers.whatsapp_bridge_wrappers import marks_of, unwrapped
from server.providers.whatsapp_cards import told_cards

NOT_CHAT = frozenset(
    {
        "protocolMessage",
        "pollUpdateMessage",
        "historySyncNotification",
        "senderKeyDistributionMessage",
        "fastRatchetKeySenderKeyDistributionMessage",
        "messageContextInfo",
        "keepInChatMessage",
        "pinInChatMessage",
        "encReactionMessage",
    }
)
# proto.Message.ProtocolMessage.Type, as a number or by name.
REVOKE = (0, "REVOKE")
MESSAGE_EDIT = (14, "MESSAGE_EDIT")
LONGEST_CHOICE_JSON = 10_000
# A line of a vCard such as `item1.TEL;type=CELL;waid=972541112233:+972 54-111-2233` (RFC 6350, §6.4.1).
PHONES = re.compile(r"^(?:\w{1,20}\.)?TEL[^:\r\n]{0,200}:([^\r\n]{1,60})", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Content:
    """What one message says; `quoted_author` wrote the quoted message and is never the sender."""

    kind: EventKind
    text: str | None = None
    target_id: str | None = None
    quoted_id: str | None = None
    quoted_author: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


def read_content(message: dict[str, Any]) -> Content:
    """Read a message's content; what nobody knows yet is UNSUPPORTED, what is no chat is IGNORED."""
    inner = unwrapped(message)
    for name, body in _bodies(inner):
        told = READERS[name](body)
        context = object_of(body.get("contextInfo"))
        return Content(
            told.kind,
            told.text,
            told.target_id,
            quoted_id=text_of(context.get("stanzaId")),
            quoted_author=text_of(context.get("participant")),
            details={key: value for key, value in told.details.items() if value is not None}
            | marks_of(message, body),
        )
    is_chat = any(name not in NOT_CHAT and value is not None for name, value in inner.items())
    return Content(EventKind.UNSUPPORTED if is_chat else EventKind.IGNORED)


def _bodies(message: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the contents that can be read, by the order of READERS."""
    for name in READERS:
        body = message.get(name)
        if name == "conversation" and isinstance(body, str):
            yield name, {"text": body}
        elif name == "protocolMessage" and not _changes_a_message(body):
            continue
        elif name != "conversation" and isinstance(body, dict):
            yield name, body


def _text(body: dict[str, Any]) -> Content:
    return Content(EventKind.TEXT, text_of(body.get("text")))


def _file(kind: EventKind) -> Callable[[dict[str, Any]], Content]:
    def read(body: dict[str, Any]) -> Content:
        details = {
            "mimetype": text_of(body.get("mimetype")),
            "file_name": text_of(body.get("fileName")),
            "size_bytes": count_of(body.get("fileLength")),
            "duration_s": count_of(body.get("seconds")),
            "media": media_of(body, kind),
        }
        return Content(kind, text_of(body.get("caption")), details=details)

    return read


def _audio(body: dict[str, Any]) -> Content:
    is_voice = body.get("ptt") is True
    return _file(EventKind.VOICE if is_voice else EventKind.AUDIO)(body)


def _location(body: dict[str, Any]) -> Content:
    details = {
        "latitude": number_of(body.get("degreesLatitude")),
        "longitude": number_of(body.get("degreesLongitude")),
        "name": text_of(body.get("name")),
        "address": text_of(body.get("address")),
    }
    return Content(EventKind.LOCATION, text_of(body.get("caption")), details=details)


def _card(body: dict[str, Any]) -> Content:
    return _of_cards([body])


def _cards(body: dict[str, Any]) -> Content:
    return _of_cards(list_of(body.get("contacts")))


def _of_cards(cards: list[Any]) -> Content:
    return Content(EventKind.CONTACT, details={"cards": told_cards(map(_told_card, cards))})


def _told_card(card: object) -> tuple[str | None, list[object]]:
    told = object_of(card)
    return text_of(told.get("displayName")), PHONES.findall(text_of(told.get("vcard")) or "")


def _button(body: dict[str, Any]) -> Content:
    return _choice(body.get("selectedButtonId"), body.get("selectedDisplayText"))


def _template_button(body: dict[str, Any]) -> Content:
    return _choice(body.get("selectedId"), body.get("selectedDisplayText"))


def _list_row(body: dict[str, Any]) -> Content:
    selected = object_of(body.get("singleSelectReply"))
    return _choice(selected.get("selectedRowId"), body.get("title"))


def _interactive(body: dict[str, Any]) -> Content:
    told = object_of(body.get("nativeFlowResponseMessage")).get("paramsJson")
    return _choice(_json_object(told).get("id"), object_of(body.get("body")).get("text"))


def _choice(choice_id: object, text: object) -> Content:
    chosen = text_of(choice_id)
    return Content(EventKind.CHOICE, text_of(text) or chosen, details={"choice_id": chosen})


def _reaction(body: dict[str, Any]) -> Content:
    # No emoji means that the reaction was taken back.
    return Content(EventKind.REACTION, text_of(body.get("text")) or "", _target(body))


def _protocol(body: dict[str, Any]) -> Content:
    if body.get("type") in REVOKE:
        return Content(EventKind.DELETE, target_id=_target(body))
    edited = read_edited(body)
    return Content(EventKind.EDIT, edited, _target(body))


def read_edited(body: dict[str, Any]) -> str | None:
    """Return the words that a message has after its edit."""
    edited = unwrapped(object_of(body.get("editedMessage")))
    found = next((READERS[name](inner) for name, inner in _bodies(edited) if name != "protocolMessage"), None)
    return found.text if found else None


def _changes_a_message(body: object) -> bool:
    told = object_of(body).get("type")
    # True counts as 1 and False as 0 in Python, but neither is a type of the protocol.
    return not isinstance(told, bool) and told in (*REVOKE, *MESSAGE_EDIT) and bool(_target(object_of(body)))


def _target(body: dict[str, Any]) -> str | None:
    return text_of(object_of(body.get("key")).get("id"))


def _json_object(text: object) -> dict[str, Any]:
    if not isinstance(text, str) or len(text) > LONGEST_CHOICE_JSON:
        return {}
    try:
        return object_of(orjson.loads(text))
    except orjson.JSONDecodeError:
        return {}


READERS: dict[str, Callable[[dict[str, Any]], Content]] = {
    "protocolMessage": _protocol,
    "reactionMessage": _reaction,
    "conversation": _text,
    "extendedTextMessage": _text,
    "imageMessage": _file(EventKind.IMAGE),
    "videoMessage": _file(EventKind.VIDEO),
    "ptvMessage": _file(EventKind.VIDEO),
    "audioMessage": _audio,
    "documentMessage": _file(EventKind.DOCUMENT),
    "stickerMessage": _file(EventKind.STICKER),
    "locationMessage": _location,
    "liveLocationMessage": _location,
    "contactMessage": _card,
    "contactsArrayMessage": _cards,
    "buttonsResponseMessage": _button,
    "listResponseMessage": _list_row,
    "templateButtonReplyMessage": _template_button,
    "interactiveResponseMessage": _interactive,
}
