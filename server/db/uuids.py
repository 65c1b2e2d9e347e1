"""Ids in the order of time."""

from __future__ import annotations

import os
from uuid import UUID

from server.clock import utc_now

_VERSION_AND_VARIANT = 7 << 76 | 2 << 62
_RANDOM = (1 << 76) - 1 & ~(3 << 62)


def uuid7() -> UUID:
    """Return a UUIDv7 (RFC 9562): milliseconds, then random. An index of them grows at its end alone."""
    now_ms = int(utc_now().timestamp() * 1000)
    return UUID(int=now_ms << 80 | _VERSION_AND_VARIANT | int.from_bytes(os.urandom(10)) & _RANDOM)
