"""What a Baileys message may be wrapped in: disappearing messages, view once, and the like."""

from __future__ import annotations

from typing import Any

WRAPPERS = frozenset(
    {
        "ephemeralMessage",
        "viewOnceMessage",
        "viewOnceMessageV2",
        "viewOnceMessageV2Extension",
        "documentWithCaptionMessage",
        "editedMessage",
        "deviceSentMessage",
        "groupMentionedMessage",
        "lottieStickerMessage",
        "associatedChildMessage",
    }
)
# What a wrapper says of its message besides.
MARKS = {
    "ephemeralMessage": "ephemeral",
    "viewOnceMessage": "view_once",
    "viewOnceMessageV2": "view_once",
    "viewOnceMessageV2Extension": "view_once",
}
MOST_WRAPPERS = 8


def unwrapped(message: dict[str, Any]) -> dict[str, Any]:
    """Return the message within its wrappers."""
    for _ in range(MOST_WRAPPERS):
        wrapped = [value for name, value in message.items() if name in WRAPPERS and isinstance(value, dict)]
        inner = next((each["message"] for each in wrapped if isinstance(each.get("message"), dict)), None)
        if inner is None:
            return message
        message = inner
    return message


def marks_of(message: dict[str, Any], body: dict[str, Any]) -> dict[str, bool]:
    """Tell what is to be seen once, and what disappears by itself."""
    marks = {"view_once": True} if body.get("viewOnce") is True else {}
    for _ in range(MOST_WRAPPERS):
        name = next((one for one in message if one in WRAPPERS and isinstance(message[one], dict)), None)
        inner = None if name is None else message[name].get("message")
        if name is None or not isinstance(inner, dict):
            break
        marks |= {MARKS[name]: True} if name in MARKS else {}
        message = inner
    return marks
