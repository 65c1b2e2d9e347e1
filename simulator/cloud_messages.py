"""What may be asked of `POST /{phone_number_id}/messages`, checked as Meta checks it."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from simulator.cloud_errors import MetaError
from simulator.cloud_filling import fill
from simulator.cloud_templates import find_template
from simulator.jsontypes import Json
from simulator.media import MediaStore

LONGEST_TEXT = 4_096
LONGEST_CAPTION = 1_024
LONGEST_CALLBACK = 512
LONGEST_BODY = 1_024
MOST_BUTTONS = 3
MOST_ROWS = 10
LONGEST_BUTTON = 20
LONGEST_ROW = 24
MEDIA_TYPES = ("image", "audio", "video", "document", "sticker")
CAPTIONED = frozenset({"image", "video", "document"})

_NOISE = re.compile(r"[\s()+\-]")
_DIGITS = re.compile(r"[0-9]{5,20}")
_USER_ID = re.compile(r"[A-Z]{2}\.[0-9A-Za-z]{1,128}")


@dataclass(frozen=True)
class Message:
    """One message to a customer, checked; `chat` is who it goes to, by phone or business-scoped id."""

    to: str
    is_user_id: bool
    kind: str
    text: str = ""
    media_id: str | None = None
    link: str | None = None
    quotes: str | None = None
    target: str | None = None
    callback_data: str | None = None
    category: str = "service"
    choices: tuple[Json, ...] = ()
    details: Json = field(default_factory=dict)

    @property
    def is_free_form(self) -> bool:
        """Whether it may only go out while the window is open."""
        return self.kind != "template"


def read_message(body: Json, templates: list[Json], media: MediaStore) -> Message:
    """Check one request; raises MetaError with Meta's own code."""
    if body.get("messaging_product") != "whatsapp":
        raise MetaError(100, 'The parameter messaging_product is required and must be "whatsapp".')
    if body.get("recipient_type", "individual") != "individual":
        raise MetaError(100, "recipient_type must be individual.")
    to, is_user_id = _recipient(body)
    kind = body.get("type", "text")
    told = body.get(str(kind))
    if not isinstance(kind, str) or kind not in _READERS:
        raise MetaError(100, f"type must be one of {', '.join(_READERS)}.")
    if not isinstance(told, dict):
        raise MetaError(131009, f"The parameter {kind} is required and must be an object.")
    read = _READERS[kind](_Reading(kind, told, templates, media))
    if read.get("category") == "authentication" and is_user_id:
        raise MetaError(131062, "Send authentication templates to a phone number.")
    return Message(
        to=to,
        is_user_id=is_user_id,
        kind=read.pop("kind", kind),
        quotes=_context(body),
        callback_data=_callback(body),
        **read,
    )


@dataclass(frozen=True)
class _Reading:
    kind: str
    told: Json
    templates: list[Json]
    media: MediaStore


def _recipient(body: Json) -> tuple[str, bool]:
    if user_id := body.get("recipient"):
        if not isinstance(user_id, str) or not _USER_ID.fullmatch(user_id):
            raise MetaError(131009, "recipient must be a business-scoped user id.")
        return user_id, True
    to = body.get("to")
    if not isinstance(to, str) or not to:
        raise MetaError(100, "The parameter to is required.")
    digits = _NOISE.sub("", to)
    if not _DIGITS.fullmatch(digits):
        raise MetaError(131009, "to is not a phone number: a business-scoped user id goes in recipient.")
    return digits, False


def _context(body: Json) -> str | None:
    context = body.get("context")
    if context is None:
        return None
    message_id = context.get("message_id") if isinstance(context, dict) else None
    if not isinstance(message_id, str) or not message_id:
        raise MetaError(131009, "context.message_id must be the id of a message.")
    return message_id


def _callback(body: Json) -> str | None:
    data = body.get("biz_opaque_callback_data")
    if data is not None and (not isinstance(data, str) or len(data) > LONGEST_CALLBACK):
        raise MetaError(131009, f"biz_opaque_callback_data must be text of at most {LONGEST_CALLBACK}.")
    return data


def _words(told: Json, name: str, most: int, *, code: int = 131009) -> str:
    value = told.get(name)
    if not isinstance(value, str) or not value.strip():
        raise MetaError(131008, f"{name} is required.")
    if len(value) > most:
        raise MetaError(code, f"{name} must be at most {most} characters long.")
    return value


def _text(reading: _Reading) -> Json:
    return {"text": _words(reading.told, "body", LONGEST_TEXT, code=100)}


def _media(reading: _Reading) -> Json:
    told, kind = reading.told, reading.kind
    media_id, link = told.get("id"), told.get("link")
    if (media_id is None) == (link is None):
        raise MetaError(131009, f"{kind} needs either id or link.")
    if media_id is not None and reading.media.get(str(media_id)) is None:
        raise MetaError(131009, f"Media with id {media_id} does not exist.")
    if link is not None and urlsplit(str(link)).scheme not in {"http", "https"}:
        raise MetaError(131009, "link must be an http or https address.")
    if told.get("caption") is not None and kind not in CAPTIONED:
        raise MetaError(100, f"Unexpected key caption on param {kind}.")
    caption = _words(told, "caption", LONGEST_CAPTION) if told.get("caption") else ""
    details = {"file_name": told["filename"]} if isinstance(told.get("filename"), str) else {}
    kind = "voice" if kind == "audio" and told.get("voice") is True else kind
    return {
        "kind": kind,
        "text": caption,
        "media_id": None if media_id is None else str(media_id),
        "link": link,
        "details": details,
    }


def _template(reading: _Reading) -> Json:
    told = reading.told
    language = told.get("language")
    code = language.get("code") if isinstance(language, dict) else None
    components = told.get("components") or []
    if not isinstance(components, list) or not all(isinstance(part, dict) for part in components):
        raise MetaError(131009, "template.components must be a list of objects.")
    if not isinstance(code, str):
        raise MetaError(131008, "template.language.code is required.")
    template = find_template(reading.templates, _words(told, "name", 512), code)
    read = fill(template, components, reading.media)
    details = {"template": template["name"], "language": code}
    return {
        "text": read.text,
        "media_id": read.file.get("media_id"),
        "link": read.file.get("link"),
        "category": str(template["category"]).lower(),
        "choices": read.choices,
        "details": details
        | ({"file_name": read.file["file_name"]} if read.file.get("file_name") else {})
        | ({"buttons": list(read.buttons)} if read.buttons else {}),
    }


def _reaction(reading: _Reading) -> Json:
    emoji = reading.told.get("emoji", "")
    if not isinstance(emoji, str):
        raise MetaError(131009, "reaction.emoji must be text.")
    return {"text": emoji, "target": _words(reading.told, "message_id", 512)}


def _location(reading: _Reading) -> Json:
    told = reading.told
    for name in ("latitude", "longitude"):
        if isinstance(told.get(name), bool) or not isinstance(told.get(name), (int, float, str)):
            raise MetaError(131008, f"location.{name} is required.")
    return {
        "details": {name: told[name] for name in ("latitude", "longitude", "name", "address") if name in told}
    }


def _contacts(reading: _Reading) -> Json:
    raise MetaError(131051, f"{reading.kind} is not sent by this number.")


def _interactive(reading: _Reading) -> Json:
    told = reading.told
    body, action = told.get("body"), told.get("action")
    if not isinstance(body, dict) or not isinstance(action, dict):
        raise MetaError(131009, "interactive needs body and action.")
    match told.get("type"):
        case "button":
            choices = _buttons(action)
        case "list":
            choices = _rows(action)
        case other:
            raise MetaError(131009, f"interactive.type {other!r} is not sent by this number.")
    return {"text": _words(body, "text", LONGEST_BODY), "choices": tuple(choices)}


def _buttons(action: Json) -> list[Json]:
    buttons = action.get("buttons")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= MOST_BUTTONS:
        raise MetaError(131009, f"action.buttons must have 1 to {MOST_BUTTONS} buttons.")
    replies = [button.get("reply") if isinstance(button, dict) else None for button in buttons]
    return [_choice(reply, "button", LONGEST_BUTTON) for reply in replies]


def _rows(action: Json) -> list[Json]:
    sections = action.get("sections")
    if not isinstance(sections, list) or not all(isinstance(section, dict) for section in sections):
        raise MetaError(131009, "action.sections must be a list.")
    rows = [row for section in sections for row in section.get("rows", [])]
    if not 1 <= len(rows) <= MOST_ROWS:
        raise MetaError(131009, f"a list must have 1 to {MOST_ROWS} rows.")
    return [_choice(row, "list", LONGEST_ROW) for row in rows]


def _choice(told: object, how: str, longest: int) -> Json:
    if not isinstance(told, dict):
        raise MetaError(131009, f"every {how} must be an object with id and title.")
    return {"how": how, "id": _words(told, "id", 256), "title": _words(told, "title", longest)}


_READERS = {
    "text": _text,
    **dict.fromkeys(MEDIA_TYPES, _media),
    "template": _template,
    "reaction": _reaction,
    "location": _location,
    "contacts": _contacts,
    "interactive": _interactive,
}
