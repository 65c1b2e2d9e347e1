"""The type and the object of a Cloud API message for everything that can be said, as pure functions.

Source: Meta's page "messages webhook reference", with its newer `edit` and `revoke`.
"""

from collections.abc import Callable

import orjson

from simulator.jsontypes import Json
from simulator.said import FILES, Choice, File, How, Kind, Said

_UNSUPPORTED = {
    "code": 131051,
    "title": "Message type unknown",
    "message": "Message type unknown",
    "error_data": {"details": "Message type is currently not supported."},
}


def content(said: Said, display_phone_number: str) -> Json:
    """Build what a message of Meta's says beside who sent it and when."""
    told = _bare(said)
    if said.quoted:
        context: Json = {"id": said.quoted.id}
        if said.quoted.by_business:
            context["from"] = display_phone_number
        told["context"] = context
    if referral := said.details.get("referral"):
        told["referral"] = referral
    return told


def _bare(said: Said) -> Json:
    # Meta does not pass view-once files on to businesses.
    return _unsupported(said) if said.is_view_once else _CONTENTS[said.kind](said)


def _unsupported(_said: Said) -> Json:
    return {"type": "unsupported", "errors": [_UNSUPPORTED]}


def _text(said: Said) -> Json:
    return {"type": "text", "text": {"body": said.text}}


def _reaction(said: Said) -> Json:
    reaction = {"message_id": said.target.id if said.target else ""}
    # A reaction without an emoji is one taken back.
    return {"type": "reaction", "reaction": reaction | ({"emoji": said.text} if said.text else {})}


def _edit(said: Said) -> Json:
    return {"type": "edit", "edit": {**_original(said), "message": _text(said)}}


def _order(said: Said) -> Json:
    return {"type": "order", "order": {"text": said.text, **_without_referral(said.details)}}


def _number_change(said: Said) -> Json:
    return {"type": "system", "system": {"type": "user_changed_number", **_without_referral(said.details)}}


def _media(said: Said) -> Json:
    kind = "audio" if said.kind is Kind.VOICE else str(said.kind)
    return {"type": kind, kind: _file(said)}


def _file(said: Said) -> Json:
    file = said.file or File("", "", "application/octet-stream", 0, "")
    told: Json = {"id": file.id, "mime_type": file.mimetype, "sha256": file.sha256}
    if said.text:
        told["caption"] = said.text
    if said.kind is Kind.DOCUMENT:
        told["filename"] = file.file_name
    if said.kind in {Kind.AUDIO, Kind.VOICE}:
        told["voice"] = said.kind is Kind.VOICE
    if said.kind is Kind.STICKER:
        told["animated"] = False
    return told


def _original(said: Said) -> Json:
    return {"original_message_id": said.target.id if said.target else ""}


def _without_referral(details: Json) -> Json:
    return {name: value for name, value in details.items() if name != "referral"}


def _card(details: Json) -> Json:
    name, phone = details["name"], details["phone"]
    phones = [{"phone": f"+{phone}", "wa_id": phone, "type": "CELL"}]
    return {"name": {"formatted_name": name, "first_name": name}, "phones": phones}


def _choice(choice: Choice | None) -> Json:
    if choice is None:
        return {"type": "interactive", "interactive": {}}
    told = {"id": choice.id, "title": choice.title}
    match choice.how:
        case How.TEMPLATE:
            return {"type": "button", "button": {"payload": choice.id, "text": choice.title}}
        case How.BUTTON:
            return {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": told}}
        case How.LIST:
            return {"type": "interactive", "interactive": {"type": "list_reply", "list_reply": told}}
        case How.INTERACTIVE:
            flow = {
                "name": "flow",
                "body": choice.title,
                "response_json": orjson.dumps({"id": choice.id}).decode(),
            }
            return {"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": flow}}


_CONTENTS: dict[Kind, Callable[[Said], Json]] = {
    Kind.TEXT: _text,
    **dict.fromkeys(FILES, _media),
    Kind.LOCATION: lambda said: {"type": "location", "location": _without_referral(said.details)},
    Kind.CONTACT: lambda said: {"type": "contacts", "contacts": [_card(said.details)]},
    Kind.CHOICE: lambda said: _choice(said.choice),
    Kind.REACTION: _reaction,
    Kind.EDIT: _edit,
    Kind.DELETE: lambda said: {"type": "revoke", "revoke": _original(said)},
    Kind.ORDER: _order,
    Kind.WELCOME: lambda _said: {"type": "request_welcome"},
    Kind.NUMBER_CHANGE: _number_change,
    Kind.UNKNOWN: _unsupported,
}
