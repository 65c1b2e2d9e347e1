"""What a page must be told, given what it was told before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from server.web.rows import View
from server.web.scene import Scene


class Told:
    """Remembers what one stream sent, and says what is new in the next scene."""

    def __init__(self) -> None:
        self._rows: dict[str, bytes] = {}
        self._bubbles: dict[str, bytes] = {}
        self._opened_id: str | None = None
        self._opened = b""
        self._desk = b""
        self._listed: list[str] | None = None
        self._steps = b""

    def news(self, scene: Scene) -> bytes:
        """Return the events that bring a page up to date; nothing when it is."""
        return b"".join([*self._conversations(scene), *self._open_one(scene), *self._strip(scene)])

    def _conversations(self, scene: Scene) -> Iterator[bytes]:
        for view in scene.conversations:
            if self._is_new(self._rows, view):
                yield event("conversation", view)
        listed = [view["id"] for view in scene.conversations]
        if self._listed != listed:
            self._listed = listed
            yield event("listed", listed)

    def _open_one(self, scene: Scene) -> Iterator[bytes]:
        if scene.opened is None:
            return
        if scene.opened["id"] != self._opened_id:
            self._opened_id = scene.opened["id"]
            self._bubbles.clear()
        encoded = orjson.dumps(scene.opened)
        if encoded != self._opened:
            self._opened = encoded
            yield event("opened", scene.opened)
        fresh = [view for view in scene.messages if self._is_new(self._bubbles, view)]
        if fresh:
            yield event("messages", {"conversation": self._opened_id, "messages": fresh})
        encoded = orjson.dumps(scene.desk)
        if scene.desk is not None and encoded != self._desk:
            self._desk = encoded
            yield event("desk", scene.desk)

    def _strip(self, scene: Scene) -> Iterator[bytes]:
        if scene.steps is None:
            return
        encoded = orjson.dumps(scene.steps)
        if encoded != self._steps:
            self._steps = encoded
            yield event("steps", scene.steps)

    @staticmethod
    def _is_new(known: dict[str, bytes], view: View) -> bool:
        encoded = orjson.dumps(view)
        if known.get(view["id"]) == encoded:
            return False
        known[view["id"]] = encoded
        return True


def event(name: str, data: Any) -> bytes:
    """Write one event as the HTML standard's event streams want it."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
