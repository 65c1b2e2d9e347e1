"""Ids in the order of time."""

from __future__ import annotations

import time
from uuid import RFC_4122

from server.db.uuids import uuid7


def test_a_later_id_is_greater_and_no_two_are_alike():
    before = time.time_ns() // 1_000_000
    ids = [uuid7() for _ in range(1000)]

    assert {(one.version, one.variant) for one in ids} == {(7, RFC_4122)}
    assert len(set(ids)) == 1000
    moments = [one.int >> 80 for one in ids]
    assert moments == sorted(moments)
    assert before <= moments[0] <= moments[-1] <= time.time_ns() // 1_000_000
