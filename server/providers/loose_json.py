"""Reading JSON that others wrote: whatever it holds, a value of the expected kind or nothing."""

from __future__ import annotations

import math
from typing import Any

NUL = "\x00"


def object_of(value: object) -> dict[str, Any]:
    """Return a JSON object, or an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """Return a JSON list, or an empty one."""
    return value if isinstance(value, list) else []


def text_of(value: object) -> str | None:
    """Return a text that can be stored and sent, or None where there is none."""
    return (storable(value) or None) if isinstance(value, str) else None


def storable(text: str) -> str:
    """Leave out U+0000, which PostgreSQL cannot hold, and replace halves of surrogate pairs."""
    whole = text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace(NUL, "")


def number_of(value: object) -> float | None:
    """Return a finite number, also from its decimal text, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def long_of(value: object) -> int | None:
    """Return a whole number, also from protobuf's `{"low", "high"}` and from text, or None."""
    if isinstance(value, dict):
        low, high = value.get("low"), value.get("high")
        if type(low) is not int or type(high) is not int:
            return None
        return (high << 32) + (low & 0xFFFFFFFF)
    if type(value) is int:
        return value
    number = number_of(value)
    return None if number is None else int(number)


def count_of(value: object) -> int | None:
    """Return a whole number from 0 that JSON's readers hold exactly (below 2**53), or None."""
    number = long_of(value)
    return number if number is not None and 0 <= number < 2**53 else None
