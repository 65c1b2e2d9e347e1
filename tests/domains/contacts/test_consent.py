"""What says no to marketing, and what only looks like it."""

from __future__ import annotations

import pytest

from server.domains import contacts


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("STOP", "withdrawn"),
        ("  stop!! ", "withdrawn"),
        ("Stop.", "withdrawn"),
        ("\u200fהסר\u200f", "withdrawn"),
        ("הָסֵר", "withdrawn"),
        ('"להסיר"', "withdrawn"),
        ("הסירו אותי", "withdrawn"),
        ("Please remove me.", "withdrawn"),
        ("UNSUBSCRIBE", "withdrawn"),
        ("start", "granted"),
        ("חזרו אליי בשיווק", "granted"),
        ("stop by at 5", None),
        ("please don't stop", None),
        ("הסר את הדלת", None),
        ("stop" + " " * 200, None),
        ("", None),
        (None, None),
    ],
)
def test_only_a_message_that_says_nothing_else_counts(said, value):
    assert contacts.consent_in(said) == value
