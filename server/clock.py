"""The only reader of the clock.

Deadlines that matter are compared by PostgreSQL with its own clock; what is
read here is for display, for log lines and for measuring how long a thing took.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the moment, aware and in UTC."""
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Return seconds that never go backwards, for durations within one process."""
    return time.monotonic()
