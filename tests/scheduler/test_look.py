"""How long a scheduler rests: until something comes due, or somebody else's slot is late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from server.clock import monotonic_s
from server.scheduler.look import Jobs, Slots
from server.scheduler.run_scheduler import OWNERS_TIME

NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
CYCLE_S = 1.0
AT_ONCE = timedelta()


def in_s(seconds: float | None) -> datetime | None:
    return None if seconds is None else NOW + timedelta(seconds=seconds)


def slots(slot_in_s: float | None) -> Slots:
    return Slots(now=NOW, next_slot=in_s(slot_in_s), looked_at_s=monotonic_s())


def jobs(due_in_s: float | None) -> Jobs:
    return Jobs(now=NOW, is_due=False, next_due=in_s(due_in_s), is_untidy=False, looked_at_s=monotonic_s())


def test_with_nothing_to_come_it_rests_for_a_cycle():
    assert slots(None).rest_s(CYCLE_S, AT_ONCE) == CYCLE_S
    assert jobs(None).rest_s(CYCLE_S) == CYCLE_S


def test_it_rests_until_the_next_slot_or_the_next_delayed_job():
    assert slots(0.6).rest_s(CYCLE_S, AT_ONCE) == pytest.approx(0.6, abs=0.05)
    assert jobs(0.4).rest_s(CYCLE_S) == pytest.approx(0.4, abs=0.05)
    assert jobs(4).rest_s(CYCLE_S) == CYCLE_S


def test_whoever_leaves_a_slot_to_its_owner_looks_again_when_it_is_late():
    owners_s = OWNERS_TIME.total_seconds()

    assert slots(0).rest_s(CYCLE_S, OWNERS_TIME) == pytest.approx(owners_s, abs=0.05)
    assert slots(-0.1).rest_s(CYCLE_S, OWNERS_TIME) == pytest.approx(owners_s - 0.1, abs=0.05)


def test_a_slot_is_the_owners_until_it_is_late():
    assert slots(0).are_due_for(AT_ONCE)
    assert not slots(0).are_due_for(OWNERS_TIME)
    assert slots(-0.3).are_due_for(OWNERS_TIME)
