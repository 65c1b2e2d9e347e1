"""Pages that are lists: one shape for each list, and its news for an open page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import orjson

from server import clock
from server.db import Session
from server.web.changes import event
from server.web.rows import View

# Each list of a page by its name, as `part` shapes it.
Board: TypeAlias = dict[str, View]


def part(rows: Sequence[View], most: int) -> View:
    """Return a list as its page shows it: its first rows, and whether there are none, some or more."""
    amount = "more" if len(rows) > most else "some" if rows else "none"
    return {"rows": rows[:most], "amount": amount}


class BoardNews:
    """Tells an open page those of its lists that have changed."""

    def __init__(self, read: Callable[[Session], Awaitable[Board]], *, every_s: float) -> None:
        """Hints come with every message; the lists are read again every `every_s` at most."""
        self._read = read
        self._every_s = every_s
        self._read_at = float("-inf")
        self._told: dict[str, bytes] = {}

    @property
    def is_due(self) -> bool:
        """Tell whether the lists may be read again."""
        return clock.monotonic_s() - self._read_at >= self._every_s

    async def __call__(self, session: Session) -> bytes:
        """Return the event that brings the page up to date; nothing when it is."""
        if not self.is_due:
            return b""
        self._read_at = clock.monotonic_s()
        board = await self._read(session)
        news = {name: rows for name, rows in board.items() if self._is_new(name, rows)}
        return event("lists", news) if news else b""

    def _is_new(self, name: str, rows: View) -> bool:
        encoded = orjson.dumps(rows)
        is_new = self._told.get(name) != encoded
        self._told[name] = encoded
        return is_new
