"""Which slots there are, and which of those that passed run: no clock, no store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from crondst import CronDst
from hypothesis import given
from hypothesis import strategies as st

from server.errors import BadInputError
from server.queue.slots import CatchUp, Plan, due_slots

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
MOST = 1000
LATER, TOO_OLD = "a later slot stands for it", "too old when a scheduler was there again"
# Both hemispheres, an hour and half an hour, changes at midnight, at one, two and three, and a zone without.
ZONES = ("Asia/Jerusalem", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Asia/Beirut")
CRONS = (
    "30 2 * * *",
    "0 0 * * *",
    "30 0 * * *",
    "30 1 * * *",
    "0,20,40 2 * * *",
    "15 1-3 * * *",
    "0 0,1,2,3,4 * * *",
    "59 1 1-31 * *",
    "0 2 25-31 3,10 *",
    "0 3 * * 0",
    "*/30 * * * *",
    "5 * * * *",
)


def plan(catch_up=CatchUp.ALL, cron="*/5 * * * *", longest_age=timedelta(days=2), zone="UTC"):
    return Plan(cron, zone, catch_up, longest_age)


def due(wanted, *, after, until, most=MOST, **more):
    return due_slots(wanted, after=after, until=until, most=most, **more).slots


def test_a_slot_on_the_watermark_is_not_due_again():
    assert due(plan(), after=NOON, until=NOON) == []


@pytest.mark.fault("F17")
@pytest.mark.parametrize(("catch_up", "runs"), [(CatchUp.ALL, 12), (CatchUp.LATEST, 1), (CatchUp.NONE, 1)])
def test_the_policy_says_which_missed_slots_run(catch_up, runs):
    found = due(plan(catch_up), after=NOON - timedelta(hours=1), until=NOON)

    assert len(found) == 12
    assert sum(slot.skipped is None for slot in found) == runs


def test_a_slot_missed_by_more_than_a_minute_is_not_caught_up_with_none():
    until = NOON + timedelta(minutes=3)

    [*_, last] = due(plan(CatchUp.NONE), after=NOON - timedelta(hours=1), until=until)

    assert last.skipped == "missed, and not to be caught up"


@pytest.mark.fault("F17")
def test_a_slot_that_is_too_old_is_skipped_with_its_reason():
    found = due(plan(longest_age=timedelta(minutes=12)), after=NOON - timedelta(minutes=30), until=NOON)

    assert [slot.skipped for slot in found] == [TOO_OLD] * 3 + [None] * 3


def test_a_long_outage_is_worked_off_in_steps_and_no_step_takes_its_last_for_the_latest():
    watermark, found = NOON - timedelta(hours=2), []
    while step := due(plan(CatchUp.LATEST), after=watermark, until=NOON, most=5):
        found += step
        watermark = step[-1].at

    assert [slot.skipped for slot in found] == [LATER] * 23 + [None]


def test_every_slot_of_a_pause_says_why():
    found = due(plan(CatchUp.LATEST), after=NOON - timedelta(minutes=15), until=NOON, paused="paused by Dana")

    assert [slot.skipped for slot in found] == ["paused by Dana"] * 3


@given(
    st.lists(st.integers(1, 7200), min_size=1, max_size=30),
    st.sampled_from(CRONS),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2024, 1, 1), datetime(2034, 1, 1)),  # noqa: DTZ001 -- hypothesis adds the zone
)
def test_however_the_cycles_fall_each_slot_is_found_exactly_once(gaps_s, cron, zone, start):
    plain, start = plan(cron=cron, zone=zone), start.replace(tzinfo=UTC)
    at_once = [slot.at for slot in due(plain, after=start, until=start + timedelta(seconds=sum(gaps_s)))]

    watermark, now, found = start, start, []
    for gap_s in gaps_s:
        now += timedelta(seconds=gap_s)
        step = due(plain, after=watermark, until=now)
        found += [slot.at for slot in step]
        watermark = step[-1].at if step else watermark

    assert found == at_once


def nights(zone):
    """Return the days of ten years in whose midst a zone's clocks change."""
    day = datetime(2024, 1, 1, tzinfo=UTC)
    while day.year < 2034:
        following = day + timedelta(days=1)
        if day.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            yield day
        day = following


@pytest.mark.fault("F15")
@pytest.mark.parametrize("cron", CRONS)
@pytest.mark.parametrize("zone", ZONES)
def test_in_every_night_of_ten_years_the_slots_are_those_of_debians_cron(zone, cron):
    wall, compared = ZoneInfo(zone), 0
    for day in nights(wall):
        start, end = day - timedelta(days=1), day + timedelta(days=3)
        others = (at.astimezone(UTC) for at in CronDst(cron).iter(start.astimezone(wall)))
        expected = list(takewhile(end.__ge__, others))

        assert [slot.at for slot in due(plan(cron=cron, zone=zone), after=start, until=end)] == expected
        compared += 1
    assert compared >= 15


SPRING, AUTUMN = datetime(2026, 3, 26, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
# In Jerusalem 02:00 becomes 03:00 on the 27th of March, and 02:00 becomes 01:00 on the 25th of October.
NIGHTS = [
    ("30 2 * * *", SPRING, ["27 03:00+03", "28 02:30+03"]),
    ("0,20,40 2 * * *", SPRING, ["27 03:00+03", "28 02:00+03", "28 02:20+03"]),
    ("*/20 2 * * *", SPRING, ["27 03:00+03", "28 02:00+03", "28 02:20+03"]),
    ("0 3 * * *", SPRING, ["27 03:00+03", "28 03:00+03"]),
    ("30 1 * * *", AUTUMN, ["25 01:30+03", "26 01:30+02"]),
    ("*/30 1 * * *", AUTUMN, ["25 01:00+03", "25 01:30+03", "26 01:00+02"]),
    ("15 1-2 * * *", AUTUMN, ["25 01:15+03", "25 02:15+02", "26 01:15+02"]),
]


@pytest.mark.fault("F15")
@pytest.mark.parametrize(("cron", "start", "expected"), NIGHTS)
def test_a_time_that_is_not_there_comes_at_the_gaps_end_and_one_that_is_there_twice_comes_once(
    cron, start, expected
):
    wall = ZoneInfo("Asia/Jerusalem")
    found = islice(plan(cron=cron, zone=wall.key).after(start), len(expected))

    assert [at.astimezone(wall).strftime("%d %H:%M%z")[:-2] for at in found] == expected


@pytest.mark.fault("F15")
def test_every_thirty_minutes_are_real_minutes_through_both_nights():
    for start in (SPRING, AUTUMN):
        found = list(islice(plan(cron="*/30 * * * *", zone="Asia/Jerusalem").after(start), 60))

        assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=30)}


def test_between_the_two_runs_of_an_hour_nothing_that_has_been_comes_again():
    second_half_past_one = datetime(2026, 10, 24, 23, 10, tzinfo=UTC)

    found = next(plan(cron="30 1 * * *", zone="Asia/Jerusalem").after(second_half_past_one))

    assert found == datetime(2026, 10, 25, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "about"),
    [
        ("* * * *", "UTC", "4 fields"),
        ("61 * * * *", "UTC", "minute"),
        ("0 0 30 2 *", "UTC", "no cron expression"),
        ("0 30 2 * * *", "UTC", "names seconds"),
        ("* " * 60, "UTC", "at most"),
        ("", "UTC", "0 fields"),
        ("@daily", "UTC", "1 fields"),
        ("0 0 * * *", "Mars/Olympus", "no time zone"),
        ("0 0 * * *", "../etc/passwd", "no time zone"),
        ("0 0 * * *", "", "no time zone"),
        ("0 0 * * *\x00", "UTC", "no cron expression"),
    ],
)
def test_what_is_no_plan_is_refused_with_what_is_wrong(cron, zone, about):
    with pytest.raises(BadInputError, match=about):
        next(plan(cron=cron, zone=zone).after(NOON))


@given(st.text(max_size=40), st.sampled_from(sorted(available_timezones())))
def test_whatever_is_written_as_an_expression_gives_slots_or_a_refusal(cron, zone):
    try:
        found = list(islice(Plan(cron, zone).after(NOON), 3))
    except BadInputError:
        return
    assert found == sorted(set(found))
