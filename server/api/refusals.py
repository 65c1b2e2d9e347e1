"""What webhooks refuse, visible to the operator: counted, and said in the log now and then."""

from __future__ import annotations

from prometheus_client import Counter

from server.clock import monotonic_s
from server.log import get_logger

log = get_logger(__name__)

REFUSED = Counter(
    "prosaas_webhooks_refused",
    "Webhooks that were not taken, by the kind of channel and the reason.",
    ["channel", "reason"],
)
# A sender that is set up wrongly repeats itself for days: one line in so long says it.
SAID_EVERY_S = 10.0


class Refusals:
    """Notes what the webhooks of one process refuse."""

    def __init__(self) -> None:
        self._said_at: dict[tuple[str, str], float] = {}
        self._unsaid: dict[tuple[str, str], int] = {}

    def note(self, channel: str, reason: str) -> None:
        """Count a refusal; both words are from the code, never from the sender."""
        REFUSED.labels(channel, reason).inc()
        key, now = (channel, reason), monotonic_s()
        self._unsaid[key] = self._unsaid.get(key, 0) + 1
        if now - self._said_at.get(key, now - SAID_EVERY_S) >= SAID_EVERY_S:
            log.warning("webhook_refused", channel=channel, reason=reason, times=self._unsaid.pop(key))
            self._said_at[key] = now
