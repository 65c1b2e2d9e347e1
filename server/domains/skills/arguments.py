"""From a tool's fields to the JSON Schema that a model is given, and back from what it wrote. No I/O."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from server.errors import BadInputError
from server.ports import Tool

LONGEST_VALUE = 1_000
NO_CHOICES: Mapping[str, Sequence[str]] = {}


def tool_of(name: str, skill: type[Any], choices: Mapping[str, Sequence[str]] = NO_CHOICES) -> Tool:
    """Return a tool as a model is told of it; `choices` are all that its fields of these names can hold."""
    fields = dataclasses.fields(skill)
    properties: dict[str, dict[str, Any]] = {
        one.name: {"type": "string", "description": one.metadata["about"]} for one in fields
    }
    for field in properties.keys() & choices.keys():
        properties[field]["enum"] = list(choices[field])
    parameters = {
        "type": "object",
        "properties": properties,
        "required": [one.name for one in fields if one.default is dataclasses.MISSING],
        "additionalProperties": False,
    }
    return Tool(name, " ".join((inspect.getdoc(skill) or "").split()), parameters)


def read_arguments(skill: type[Any], written: str) -> Any:
    """Return the tool's own object; raise BadInputError `bad_arguments` with what a model can mend."""
    try:
        told = orjson.loads(written or "{}")
    except orjson.JSONDecodeError:
        raise BadInputError("bad_arguments", "The arguments are not JSON.") from None
    if not isinstance(told, dict):
        raise BadInputError("bad_arguments", "The arguments must be a JSON object.")
    values = {
        one.name: _text(one.name, told.get(one.name), is_needed=one.default is dataclasses.MISSING)
        for one in dataclasses.fields(skill)
    }
    if not any(values.values()):
        raise BadInputError("bad_arguments", f"At least one of {', '.join(values)} is needed.")
    return skill(**values)


def _text(name: str, value: object, *, is_needed: bool) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    text = value.replace("\x00", "").strip() if isinstance(value, str) else ""
    if len(text) > LONGEST_VALUE:
        raise BadInputError("bad_arguments", f"{name} is longer than {LONGEST_VALUE} characters.")
    if is_needed and not text:
        raise BadInputError("bad_arguments", f"{name} is missing.")
    return text or None
