"""What cutting a webhook into its events takes, whoever posts it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import orjson

from server.ports import RawEvent
from server.providers.loose_json import NUL

NO_LANE = "unreadable"
# A real message takes more than 150 bytes of the 3 MB that a webhook may have.
MOST_ENTRIES = 20_000
LONGEST_ID = 255
DEEPEST_KEPT = 50


def usable_id(value: object) -> str | None:
    """Return a message's id if it can be one: a bounded text without control characters."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST_ID and value.isprintable():
        return value
    return None


def storing_fault(wrapped: dict[str, Any]) -> str | None:
    """Say why an event cannot be stored as it is, None where it can."""
    try:
        orjson.dumps(wrapped)
    except orjson.JSONEncodeError:
        return "the entry is nested too deeply or holds what JSON cannot"
    return None


def unreadable(wrapped: dict[str, Any], reason: str, *, account: str = "") -> RawEvent:
    """Keep what cannot be read, as far as it can be kept."""
    kept = _shallow(wrapped, DEEPEST_KEPT)
    return RawEvent(f"unreadable:{digest(kept)}", NO_LANE, {"unreadable": kept}, reason, account)


def digest(value: object) -> str:
    """Return what names a JSON value that has no id of its own."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _shallow(value: object, levels: int) -> Any:
    """Return a copy that every encoder takes: of what is nested too deeply, only that it was there."""
    match value:
        case dict() | list() if levels == 0:
            return "[too deep]"
        case dict():
            return {_plain(key): _shallow(inner, levels - 1) for key, inner in value.items()}
        case list():
            return [_shallow(inner, levels - 1) for inner in value]
        case str():
            return _plain(value)
        case int() if abs(value) >= 2**63:
            return str(value)
        case _:
            return value


def _plain(text: object) -> str:
    return str(text).encode("utf-16", "replace").decode("utf-16").replace(NUL, "\ufffd")
