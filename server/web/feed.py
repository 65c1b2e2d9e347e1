"""Hints that rows changed, and how many may listen for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Protocol

from server.errors import ProsaasError
from server.queue import Changed

PER_SESSION = 20
PER_BUSINESS = 100


class TooManyStreamsError(ProsaasError):
    """A session or a business has as many live pages open as it may."""


class LiveFeed(Protocol):
    """Where hints come from. One that is lost costs seconds: rows are read again anyway."""

    def subscribe(self, business_id: int) -> AbstractAsyncContextManager[AsyncIterator[Changed]]:
        """Listen to one business's hints until the block ends; silence when none can be had."""


class StreamLimit:
    """Counts this process's open streams."""

    def __init__(self, *, per_session: int = PER_SESSION, per_business: int = PER_BUSINESS) -> None:
        self._most = {"session": per_session, "business": per_business}
        self._open: Counter[tuple[str, str | int]] = Counter()

    @contextmanager
    def one_more(self, *, session: str, business_id: int) -> Iterator[None]:
        """Hold a place while the block runs; raise TooManyStreamsError when there is none."""
        places: list[tuple[str, str | int]] = [("session", session), ("business", business_id)]
        if any(self._open[place] >= self._most[place[0]] for place in places):
            raise TooManyStreamsError("too many live pages are open: close one")
        self._open.update(places)
        try:
            yield
        finally:
            self._open.subtract(places)
            for place in places:
                if not self._open[place]:
                    del self._open[place]
