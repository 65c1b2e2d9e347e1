"""The parts of a template as Meta's Cloud API writes them, in `components`.

Source: https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/components
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from server.domains import messaging
from server.errors import BadInputError
from server.ports import ButtonKind, ButtonValue

MOST_PARTS = 12
MOST_INDEX = 9
FILES = ("image", "video", "document")
# Under which name a button's value stands, by the type of its parameter.
VALUES = {ButtonKind.URL: "text", ButtonKind.QUICK_REPLY: "payload", ButtonKind.COPY_CODE: "coupon_code"}
WHERE = "template.components"


def read_parts(
    use: messaging.TemplateUse, told: Any
) -> tuple[messaging.TemplateUse, Mapping[str, Any] | None]:
    """Return a template with its parts, and its header's file as `media` has it; raise BadInputError."""
    if not isinstance(told, list) or len(told) > MOST_PARTS:
        raise _bad(WHERE, f"must be a list of up to {MOST_PARTS} objects")
    file: Mapping[str, Any] | None = None
    for place, part in enumerate(told):
        where = f"{WHERE}[{place}]"
        kind = str(part.get("type")).lower() if isinstance(part, dict) else ""
        match kind:
            case "body" if use.body:
                raise _bad(where, "fills the body a second time")
            case "body":
                values = [_text(one, where) for one in _parameters(part, where)]
                named = [name for name, _ in values if name]
                if named and len(named) != len(values):
                    raise _bad(where, "needs a parameter_name for each value, or for none")
                use = replace(use, body=[value for _, value in values], names=named)
            case "header":
                use, file = _header(use, part, where)
            case "button":
                use = replace(use, buttons=[*use.buttons, _button(part, where)])
            case _:
                raise _bad(f"{where}.type", "must be header, body or button")
    return use, file


def _header(
    use: messaging.TemplateUse, part: Mapping[str, Any], where: str
) -> tuple[messaging.TemplateUse, Mapping[str, Any] | None]:
    [parameter, *more] = _parameters(part, where) or [{}]
    if more:
        raise _bad(where, "takes one parameter")
    kind = str(parameter.get("type")).lower()
    if kind == "text":
        name, value = _text(parameter, where)
        return replace(use, header=value, header_name=name), None
    file = parameter.get(kind)
    if kind not in FILES or not isinstance(file, dict):
        raise _bad(where, f"must have a text, or one of {', '.join(FILES)}")
    # As Meta names them, and as `media` does.
    told: dict[str, Any] = dict(file)
    for theirs, ours in (("link", "url"), ("filename", "file_name")):
        if theirs in told:
            told[ours] = told.pop(theirs)
    return replace(use, file_kind=kind), told | {"kind": kind}


def _button(part: Mapping[str, Any], where: str) -> ButtonValue:
    told, index = str(part.get("sub_type")).lower(), str(part.get("index"))
    if told not in set(ButtonKind):
        raise _bad(f"{where}.sub_type", f"must be one of {', '.join(ButtonKind)}")
    if not (index.isascii() and index.isdigit() and int(index) <= MOST_INDEX):
        raise _bad(f"{where}.index", f"must be a number from 0 to {MOST_INDEX}")
    kind = ButtonKind(told)
    parameters = _parameters(part, where)
    value = parameters[0].get(VALUES[kind]) if len(parameters) == 1 else None
    if not isinstance(value, str) or not value or "\0" in value:
        raise _bad(where, f"needs one parameter with its {VALUES[kind]}")
    return ButtonValue(int(index), kind, value)


def _parameters(part: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    told = part.get("parameters", [])
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise _bad(f"{where}.parameters", "must be a list of objects")
    return told


def _text(parameter: Mapping[str, Any], where: str) -> tuple[str | None, str]:
    """Return the name, where it has one, and the words of a parameter."""
    value, name = parameter.get("text"), parameter.get("parameter_name")
    if parameter.get("type") != "text" or not isinstance(value, str) or not value or "\0" in value:
        raise _bad(where, "takes parameters of the type text, each with its text")
    if name is not None and (not isinstance(name, str) or not name.isidentifier()):
        raise _bad(f"{where}.parameter_name", "must be the name of a variable")
    return name, value


def _bad(where: str, what: str) -> BadInputError:
    return BadInputError("bad_field", f"{where} {what}.")
