"""Which slots are due, by policy; no clock, no store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.scheduler.rules import due_slots
from server.scheduler.schedule import TIMETABLE, CatchUp, Entry

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
ZONE = ZoneInfo("UTC")


def entry(catch_up=CatchUp.ALL, cron="*/5 * * * *", longest_age=timedelta(days=2)):
    return Entry("test", cron, lambda slot: slot, catch_up, longest_age)


def test_a_slot_on_the_watermark_is_not_due_again():
    assert due_slots(entry(), after=NOON, until=NOON, zone=ZONE) == []


@pytest.mark.fault("F17")
@pytest.mark.parametrize(("catch_up", "runs"), [(CatchUp.ALL, 12), (CatchUp.LATEST, 1), (CatchUp.NONE, 1)])
def test_the_policy_says_which_missed_slots_run(catch_up, runs):
    found = due_slots(entry(catch_up), after=NOON - timedelta(hours=1), until=NOON, zone=ZONE)

    assert len(found) == 12
    assert sum(slot.skipped is None for slot in found) == runs


def test_a_slot_missed_by_more_than_a_minute_is_not_caught_up_with_none():
    until = NOON + timedelta(minutes=3)

    [*_, last] = due_slots(entry(CatchUp.NONE), after=NOON - timedelta(hours=1), until=until, zone=ZONE)

    assert last.skipped == "missed, and not to be caught up"


@pytest.mark.fault("F17")
def test_a_slot_that_is_too_old_is_skipped_with_its_reason():
    found = due_slots(
        entry(longest_age=timedelta(minutes=12)), after=NOON - timedelta(minutes=30), until=NOON, zone=ZONE
    )

    assert [slot.skipped is None for slot in found] == [False, False, False, True, True, True]


def test_a_daily_entry_keeps_its_local_hour_over_a_dst_night():
    jerusalem = ZoneInfo("Asia/Jerusalem")
    daily = entry(cron="30 3 * * *")
    found = due_slots(
        daily,
        after=datetime(2026, 3, 25, 12, tzinfo=UTC),
        until=datetime(2026, 3, 29, 12, tzinfo=UTC),
        zone=jerusalem,
    )

    assert [slot.at.astimezone(jerusalem).strftime("%H:%M") for slot in found] == ["03:30"] * 4


@given(
    st.lists(st.integers(1, 7200), min_size=1, max_size=30), st.sampled_from([one.cron for one in TIMETABLE])
)
def test_however_the_cycles_fall_each_slot_is_found_exactly_once(gaps_s, cron):
    plain = entry(cron=cron)
    whole_until = NOON + timedelta(seconds=sum(gaps_s))
    at_once = [slot.at for slot in due_slots(plain, after=NOON, until=whole_until, zone=ZONE)]

    watermark, now, found = NOON, NOON, []
    for gap_s in gaps_s:
        now += timedelta(seconds=gap_s)
        due = due_slots(plain, after=watermark, until=now, zone=ZONE)
        found += [slot.at for slot in due]
        watermark = due[-1].at if due else watermark

    assert found == at_once
