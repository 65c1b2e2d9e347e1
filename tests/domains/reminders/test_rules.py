"""When a reminder is raised, by moments alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domains.reminders.rules import (
    OFFSETS_MIN,
    OVERDUE_AFTER,
    Raise,
    Verdict,
    check_due,
    checked_label,
    checked_text,
    first_moment,
    judge,
)
from server.errors import BadInputError

DUE = datetime(2026, 3, 27, 9, 0, tzinfo=UTC)
LONG_BEFORE = DUE - timedelta(days=2)
SET = st.integers(0, 180).map(lambda minutes: DUE - timedelta(minutes=minutes))
LOOKS = st.lists(st.integers(-3600, 7200), min_size=1, max_size=12).map(
    lambda seconds: [DUE + timedelta(seconds=one) for one in sorted(seconds)]
)


def look(minutes_before: float, *, set_minutes_before: float | None = None) -> Verdict:
    set_at = LONG_BEFORE if set_minutes_before is None else DUE - timedelta(minutes=set_minutes_before)
    return judge(due_at=DUE, due_set_at=set_at, now=DUE - timedelta(minutes=minutes_before))


def told(verdict: Verdict) -> list[tuple[int, str]]:
    return [(one.offset_min, one.state.value) for one in verdict.offsets]


@pytest.mark.parametrize(
    ("minutes_before", "expected", "next_before"),
    [
        (31, [], 30),
        (30, [(30, "raised")], 15),
        (15, [(30, "skipped"), (15, "raised")], 0),
        (0, [(30, "skipped"), (15, "skipped"), (0, "raised")], None),
        (-9, [(30, "skipped"), (15, "skipped"), (0, "raised")], None),
        (-11, [(30, "skipped"), (15, "skipped"), (0, "overdue")], None),
        (-60 * 24 * 400, [(30, "skipped"), (15, "skipped"), (0, "overdue")], None),
    ],
)
def test_of_what_came_unseen_the_newest_alone_is_raised(minutes_before, expected, next_before):
    verdict = look(minutes_before)

    assert told(verdict) == expected
    assert verdict.next_at == (None if next_before is None else DUE - timedelta(minutes=next_before))


def test_a_reminder_set_twenty_minutes_before_is_not_raised_as_it_is_set():
    assert told(look(20, set_minutes_before=20)) == [(30, "skipped")]
    assert told(look(15, set_minutes_before=20))[-1] == (15, "raised")


def test_what_is_skipped_says_why_and_what_is_raised_does_not():
    for verdict in (look(20, set_minutes_before=20), look(-5)):
        assert all((one.state is Raise.SKIPPED) == bool(one.reason) for one in verdict.offsets)


@pytest.mark.parametrize(
    ("due_at", "code"),
    [
        (DUE, "due_in_past"),
        (DUE - timedelta(seconds=1), "due_in_past"),
        ((DUE + timedelta(days=1)).replace(tzinfo=None), "bad_due_time"),
    ],
)
def test_a_due_time_says_its_zone_and_is_still_to_come(due_at, code):
    with pytest.raises(BadInputError) as refused:
        check_due(due_at, DUE)

    assert refused.value.code == code


@pytest.mark.parametrize(
    ("check", "longest", "code"), [(checked_text, 1000, "bad_reminder"), (checked_label, 200, "bad_label")]
)
def test_a_text_and_a_label_say_something_and_not_too_much(check, longest, code):
    assert check(f" {'x' * longest} ") == "x" * longest
    for wrong in ("", "  ", "x" * (longest + 1)):
        with pytest.raises(BadInputError) as refused:
            check(wrong)
        assert refused.value.code == code


@given(set_at=SET, looks=LOOKS)
def test_however_late_or_often_it_is_looked_at_each_offset_is_told_once_and_one_at_a_time(set_at, looks):
    log: dict[int, Raise] = {}
    next_at: datetime | None = first_moment(DUE)
    for now in looks:
        if next_at is None or next_at > now or now < set_at:
            continue
        verdict = judge(due_at=DUE, due_set_at=set_at, now=now)
        new = [one for one in verdict.offsets if one.offset_min not in log]
        log |= {one.offset_min: one.state for one in new}
        next_at = verdict.next_at

        assert len([one for one in new if one.state is not Raise.SKIPPED]) <= 1
        assert next_at is None or next_at > now

    last = looks[-1]
    if last >= max(DUE, set_at):
        assert sorted(log) == sorted(OFFSETS_MIN)
        assert log[0] in {Raise.RAISED, Raise.OVERDUE}
    if log.get(0) is Raise.OVERDUE:
        assert last > DUE + OVERDUE_AFTER
