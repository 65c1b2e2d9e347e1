"""The switch of the fault tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import timeit

import pytest

from server.queue.crash_points import CrashedError, CrashPoint, armed, crash_point

PASS = "from server.queue.crash_points import CrashPoint, crash_point; crash_point(CrashPoint.AFTER_SENDING)"


def test_an_unarmed_crash_point_costs_next_to_nothing():
    per_call_s = min(timeit.repeat(lambda: crash_point(CrashPoint.AFTER_SENT), number=10_000)) / 10_000

    assert per_call_s < 2e-6


def test_it_raises_at_the_nth_passing_of_its_own_place_alone():
    pass_or_crash = armed("after_sent:raise:2")

    pass_or_crash(CrashPoint.AFTER_CLAIM)
    pass_or_crash(CrashPoint.AFTER_SENT)
    with pytest.raises(CrashedError):
        pass_or_crash(CrashPoint.AFTER_SENT)
    pass_or_crash(CrashPoint.AFTER_SENT)


def test_of_several_processes_one_crashes(tmp_path):
    first, second = (armed("after_sent:raise", str(tmp_path / "once")) for _ in range(2))

    with pytest.raises(CrashedError):
        first(CrashPoint.AFTER_SENT)
    second(CrashPoint.AFTER_SENT)


@pytest.mark.parametrize("told", ["after_lunch", "after_sent:explode", "after_sent:kill:soon"])
def test_a_place_or_an_action_that_does_not_exist_is_refused(told):
    with pytest.raises((ValueError, KeyError)):
        armed(told)


def test_a_process_kills_itself():
    ended = subprocess.run(
        [sys.executable, "-c", PASS], env=os.environ | {"PROSAAS_CRASH_POINT": "after_sending"}, check=False
    )

    assert ended.returncode == -signal.SIGKILL
