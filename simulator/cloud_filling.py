"""What a template is filled with, checked as Meta does: 132000 for a wrong number, 132012 for a wrong kind.

Source: Meta's pages "Template components" and "Error codes".
"""

import re
from dataclasses import dataclass, field

from simulator.cloud_errors import MetaError
from simulator.cloud_templates import VARIABLE
from simulator.jsontypes import Json
from simulator.media import MediaStore, bare_type

FILES = ("image", "video", "document")
LONGEST_CODE = 15
# Which parameter fills a button, by its kind in the template.
_BUTTONS = {
    "URL": ("url", "text"),
    "QUICK_REPLY": ("quick_reply", "payload"),
    "COPY_CODE": ("copy_code", "coupon_code"),
}


@dataclass(frozen=True)
class Filled:
    """What the customer reads and sees: `file` is the header's, `choices` the quick replies' payloads."""

    text: str
    file: Json = field(default_factory=dict)
    choices: tuple[Json, ...] = ()
    buttons: tuple[Json, ...] = ()


def fill(template: Json, components: list[Json], media: MediaStore) -> Filled:
    """Return a template filled; raises MetaError."""
    is_named = template.get("parameter_format") == "NAMED"
    kinds = [str(part.get("type")).lower() for part in components]
    for kind in ("header", "body"):
        if kinds.count(kind) > 1:
            raise MetaError(132000, f"components holds {kind} twice")
    if set(kinds) - {"header", "body", "button"}:
        raise MetaError(131009, "components hold header, body and button")
    header, file = _header(template, _of(components, "header"), media, is_named=is_named)
    body = _words(_text_of(template, "BODY"), _parameters(_of(components, "body")), "body", is_named=is_named)
    choices, buttons = _buttons(template, [part for part in components if part.get("type") == "button"])
    return Filled(f"{header}\n{body}" if header else body, choices=choices, buttons=buttons, file=file)


def _header(template: Json, given: Json, media: MediaStore, *, is_named: bool) -> tuple[str, Json]:
    part = next((one for one in template["components"] if one["type"] == "HEADER"), None)
    parameters = _parameters(given)
    kind = "" if part is None else str(part["format"]).lower()
    if kind not in FILES:
        words = str(part.get("text", "")) if part else ""
        return _words(words, parameters, "header", is_named=is_named), {}
    if len(parameters) != 1:
        raise _mismatch("header", len(parameters), 1)
    told = parameters[0].get(kind)
    if parameters[0].get("type") != kind or not isinstance(told, dict):
        raise MetaError(132012, f"header: Format mismatch, expected {kind}, received otherwise")
    media_id, link = told.get("id"), told.get("link")
    if (media_id is None) == (link is None):
        raise MetaError(131009, f"header: {kind} needs either id or link")
    stored = None if media_id is None else media.get(str(media_id))
    if media_id is not None and stored is None:
        raise MetaError(131009, f"Media with id {media_id} does not exist.")
    if stored is not None and kind != "document" and not bare_type(stored.mimetype).startswith(f"{kind}/"):
        raise MetaError(
            132012, f"header: Format mismatch, expected {kind.upper()}, received {stored.mimetype}"
        )
    name = told.get("filename")
    return "", {"media_id": media_id, "link": link, "file_name": name if isinstance(name, str) else ""}


def _buttons(template: Json, given: list[Json]) -> tuple[tuple[Json, ...], tuple[Json, ...]]:
    parts = [part for part in template["components"] if part["type"] == "BUTTONS"]
    listed: list[Json] = [button for part in parts for button in part["buttons"]]
    values = {str(part.get("index")): part for part in given}
    if len(values) != len(given) or any(not index.isdigit() or int(index) >= len(listed) for index in values):
        raise MetaError(132000, "buttons: the index names no button of the template, or one twice")
    choices: list[Json] = []
    shown: list[Json] = []
    for index, button in enumerate(listed):
        value = _button_value(button, values.get(str(index)), index)
        if button["type"] == "QUICK_REPLY":
            choices.append({"how": "template", "id": value or button["text"], "title": button["text"]})
        else:
            url = value.join(VARIABLE.split(button.get("url", ""))[::2])
            shown.append({"title": button.get("text", ""), "url": url, "code": value if not url else ""})
    return tuple(choices), tuple(shown)


def _button_value(button: Json, given: Json | None, index: int) -> str:
    kind = button["type"]
    is_blank = kind == "COPY_CODE" or (kind == "URL" and VARIABLE.search(button["url"]) is not None)
    if given is None:
        if is_blank:
            raise MetaError(131008, f"Button at index {index} of type {kind} requires a parameter")
        return ""
    if kind not in _BUTTONS or (kind == "URL" and not is_blank):
        raise MetaError(132012, f"Button at index {index} of type {kind} takes no parameter")
    sub_type, name = _BUTTONS[kind]
    if str(given.get("sub_type")).lower() != sub_type:
        raise MetaError(132012, f"Button at index {index} is a {kind}")
    parameters = _parameters(given)
    if len(parameters) != 1:
        raise _mismatch(f"button {index}", len(parameters), 1)
    told, value = parameters[0], parameters[0].get(name)
    if told.get("type") != name or not isinstance(value, str) or not value:
        raise MetaError(132012, f"Button at index {index} needs a parameter of type {name}")
    if kind == "COPY_CODE" and not re.fullmatch(rf"[0-9A-Za-z]{{1,{LONGEST_CODE}}}", value):
        raise MetaError(132012, f"Button at index {index}: a coupon code has up to {LONGEST_CODE} letters")
    return value


def _of(components: list[Json], kind: str) -> Json:
    return next((part for part in components if str(part.get("type")).lower() == kind), {})


def _parameters(part: Json) -> list[Json]:
    values = part.get("parameters", [])
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise MetaError(131009, "parameters must be a list of objects")
    return values


def _text_of(template: Json, kind: str) -> str:
    return str(next(part["text"] for part in template["components"] if part["type"] == kind))


def _words(words: str, values: list[Json], where: str, *, is_named: bool) -> str:
    variables = list(dict.fromkeys(VARIABLE.findall(words)))
    if len(values) != len(variables):
        raise _mismatch(where, len(values), len(variables))
    if is_named:
        by_name = {str(value.get("parameter_name")): value for value in values}
        if set(by_name) != set(variables):
            raise MetaError(132012, f"{where}: parameter_name must be each of {', '.join(variables)}")
    else:
        by_name = dict(zip(variables, values, strict=True))
    return VARIABLE.sub(lambda found: _value(by_name[found[1]]), words)


def _value(value: Json) -> str:
    text = value.get("text") or value.get("fallback_value") or ""
    if not isinstance(text, str) or not text.strip():
        raise MetaError(132012, "a parameter of the template has no text")
    if "\n" in text or "\t" in text:
        raise MetaError(132007, "a parameter of the template holds a new line or a tab")
    return text


def _mismatch(where: str, given: int, wanted: int) -> MetaError:
    return MetaError(
        132000,
        f"{where}: number of localizable_params ({given}) does not match the expected number of params"
        f" ({wanted})",
    )
