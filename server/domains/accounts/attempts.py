"""How often one may try to log in.

Counted in this process: several api processes together allow that many times more, which is
still far too few to guess a password. Nothing is written that a stranger could fill up.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

from server import clock

WINDOW_S = 15 * 60
PER_ACCOUNT = 10
PER_ADDRESS = 50
REMEMBERED = 20_000


class Attempts:
    """The failed attempts of the last quarter of an hour, by account and by address."""

    def __init__(self, now_s: Callable[[], float] = clock.monotonic_s) -> None:
        self._now_s = now_s
        self._tried: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def allow(self, *, account: str, address: str) -> bool:
        """Count one more attempt, or refuse it."""
        tried_account = self._recent(("account", account))
        tried_address = self._recent(("address", address))
        if len(tried_account) >= PER_ACCOUNT or len(tried_address) >= PER_ADDRESS:
            return False
        tried_account.append(self._now_s())
        tried_address.append(self._now_s())
        return True

    def succeeded(self, *, account: str, address: str) -> None:
        """Forget an account's failures, and do not hold this attempt against its address."""
        self._tried.pop(("account", account), None)
        tried_address = self._recent(("address", address))
        if tried_address:
            tried_address.pop()

    def _recent(self, key: tuple[str, str]) -> deque[float]:
        tried = self._tried.setdefault(key, deque())
        self._tried.move_to_end(key)
        while tried and tried[0] < self._now_s() - WINDOW_S:
            tried.popleft()
        while len(self._tried) > REMEMBERED:
            self._tried.popitem(last=False)
        return tried
