"""Ids in the order of time."""

from __future__ import annotations

import time
from uuid import RFC_4122

from server.db.uuids import uuid7s


def test_later_ids_are_greater_and_no_two_are_alike():
    before = time.time_ns() // 1_000_000
    ids = [one for _ in range(20) for one in uuid7s(50)]

    assert {(one.version, one.variant) for one in ids} == {(7, RFC_4122)}
    assert len(set(ids)) == 1000
    moments = [one.int >> 80 for one in ids]
    assert moments == sorted(moments)
    assert before <= moments[0] <= moments[-1] <= time.time_ns() // 1_000_000
