"""How long a scheduler rests after cycles that failed."""

from __future__ import annotations

import pytest

from server.scheduler.run_scheduler import backoff_s


@pytest.mark.parametrize(
    ("cycle_s", "failures", "rest_s"),
    [
        (0.5, 1, 1.0),
        (0.5, 2, 2.0),
        (0.5, 4, 5.0),
        (0.5, 100_000, 5.0),
        (0.1, 5, 3.2),
        (60, 1, 60),
        (60, 9, 60),
    ],
)
def test_it_rests_longer_each_time_and_for_five_seconds_or_a_cycle_at_most(cycle_s, failures, rest_s):
    assert backoff_s(cycle_s, failures) == rest_s
