"""Opening hours as people type them, and as they stand at one moment."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from server.domains.assistant import hours
from server.errors import BadInputError

ZONE = "Asia/Jerusalem"
WEEK = {
    **{day: [["08:00", "19:00"]] for day in ("sun", "mon", "tue", "wed", "thu")},
    "fri": [["08:00", "14:00"]],
    "sat": [["21:00", "01:00"]],
}


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(ZONE))


def told(moment: str, *lines: str) -> str:
    special = hours.exceptions_of(hours.read_exceptions("\n".join(lines)))
    return hours.told(WEEK, special, at(moment), ZONE).splitlines()[0]


# 2026-11-26 is a Thursday.
@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("2026-11-26T10:00", "The business is open now, until 19:00."),
        ("2026-11-26T19:00", "closed now; it opens next on Friday 2026-11-27 at 08:00."),
        ("2026-11-27T14:30", "closed now; it opens next on Saturday 2026-11-28 at 21:00."),
        ("2026-11-28T22:00", "open now, until Sunday 2026-11-29 at 01:00."),
        ("2026-11-29T00:30", "open now, until 01:00."),
        ("2026-11-29T01:00", "closed now; it opens next on Sunday 2026-11-29 at 08:00."),
    ],
)
def test_a_business_knows_whether_it_is_open(moment, words):
    assert words in told(moment)


def test_days_unlike_the_others_win():
    line = "2026-11-26..2026-11-28 closed Thanksgiving"
    assert "closed now; it opens next on Sunday 2026-11-29 at 08:00" in told("2026-11-26T10:00", line)
    assert "open now, until 12:00" in told("2026-11-26T10:00", "2026-11-26 9-12 short day")


def test_a_coming_exception_is_told_and_a_past_one_is_not():
    special = hours.exceptions_of(hours.read_exceptions("2026-12-24 closed\n2026-01-01 closed"))
    said = hours.told(WEEK, special, at("2026-11-26T10:00"), ZONE)
    assert "Unlike that: 2026-12-24 closed." in said
    assert "2026-01-01" not in said


def test_hours_that_nobody_gave_are_not_told():
    said = hours.told({}, [], at("2026-11-26T10:00"), ZONE)
    assert said == "Now it is Thursday 2026-11-26 at 10:00 (Asia/Jerusalem)."


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("09:00-13:00, 16:00-19:00", [["09:00", "13:00"], ["16:00", "19:00"]]),
        ("9-13", [["09:00", "13:00"]]),
        ("00:00\u201324:00", [["00:00", "24:00"]]),
        ("", []),
        ("closed", []),
        ("סגור", []),
    ],
)
def test_hours_are_read_as_people_write_them(written, read):
    assert hours.read_times(written) == read


@pytest.mark.parametrize("written", ["morning", "9", "25:00-26:00", "09:70-10:00", "09:00-09:00", "1-2," * 9])
def test_what_is_no_hours_is_refused_with_what_to_write(written):
    with pytest.raises(BadInputError, match=r"Write 09:00|no hours"):
        hours.read_times(written)


@pytest.mark.parametrize(
    "line", ["tomorrow closed", "2026-02-30 closed", "2026-02-10..2026-02-01 closed", "x"]
)
def test_what_is_no_day_is_refused(line):
    with pytest.raises(BadInputError):
        hours.read_exceptions(line)


def test_what_was_read_is_written_back_the_same():
    lines = "2026-12-24..2026-12-26 closed Christmas\n2026-12-31 09:00-12:00 short day"
    assert hours.written_exceptions(hours.exceptions_of(hours.read_exceptions(lines))) == lines
