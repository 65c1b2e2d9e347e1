"""Every call a provider received, in order."""

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from simulator.jsontypes import Json

KEPT_CALLS = 100_000


@dataclass
class Call:
    """One call; `answer` stays None for as long as the caller has had none.

    `accepted` says whether the provider took the work on, answered or not: a dropped answer has
    `accepted=True` and `answer=None`. `behaviour` is what the provider had been told to do, if anything.
    """

    n: int
    provider: str
    at: datetime
    request: Json
    answer: Json | None = None
    accepted: bool = False
    behaviour: Json | None = None

    def as_json(self) -> Json:
        """Return the shape that `GET /sim/calls` lists."""
        return {
            "n": self.n,
            "provider": self.provider,
            "at": self.at.isoformat(),
            "request": self.request,
            "answer": self.answer,
            "accepted": self.accepted,
            "behaviour": self.behaviour,
        }


class CallLog:
    """The last 100,000 calls; older ones are trimmed, oldest first.

    Numbers rise by one and are never used twice, not even after a reset, so a reader's `after` stays true.
    """

    def __init__(self, *, kept: int = KEPT_CALLS) -> None:
        self._calls: deque[Call] = deque(maxlen=kept)
        self._last_n = 0

    def add(self, provider: str, request: Json) -> Call:
        """Note a call at the moment it came in."""
        self._last_n += 1
        call = Call(n=self._last_n, provider=provider, at=datetime.now(UTC), request=request)
        self._calls.append(call)
        return call

    def after(self, n: int, *, provider: str | None, limit: int) -> list[Call]:
        """List calls with a number above `n`, oldest first."""
        if not self._calls:
            return []
        start = max(0, n + 1 - self._calls[0].n)
        later = islice(self._calls, start, None)
        wanted = (call for call in later if provider is None or call.provider == provider)
        return list(islice(wanted, limit))

    def clear(self) -> None:
        """Forget the calls, not the numbering."""
        self._calls.clear()
