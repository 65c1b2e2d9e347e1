"""Ids in the order of time."""

from __future__ import annotations

import os
from uuid import UUID

from server.clock import utc_now

_VERSION_AND_VARIANT = 7 << 76 | 2 << 62
_RANDOM = (1 << 76) - 1 & ~(3 << 62)
_RANDOM_BYTES = 10


def uuid7s(count: int) -> list[UUID]:
    """Return UUIDv7s of this moment (RFC 9562): an index of them grows at its end."""
    moment = int(utc_now().timestamp() * 1000) << 80 | _VERSION_AND_VARIANT
    drawn = os.urandom(_RANDOM_BYTES * count)
    starts = range(0, len(drawn), _RANDOM_BYTES)
    return [UUID(int=moment | int.from_bytes(drawn[at : at + _RANDOM_BYTES]) & _RANDOM) for at in starts]
