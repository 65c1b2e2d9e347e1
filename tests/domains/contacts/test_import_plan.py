"""What rows come to, one after another, without any database."""

from __future__ import annotations

from uuid import uuid4

import pytest

from server.domains.contacts.import_plan import Someone, plan, read_row
from server.domains.contacts.pipeline import Stage

STAGES = [
    Stage(uuid4(), name, sort, "grey", place)
    for place, (name, sort) in enumerate([("New", "open"), ("Visit", "open"), ("Won", "won")])
]


def planned(*rows, known=None, told_before=()):
    told = [read_row(uuid4(), fields, "IL") for fields in rows]
    return plan(told, known or {}, told_before=set(told_before), stages=STAGES, file_name="leads.csv")


def test_the_same_phone_written_in_three_ways_is_one_person():
    made = planned({"phone": "050-1234567"}, {"phone": "+972501234567"}, {"phone": "972 50 123 4567"})

    assert [one.phone for one in made.people] == ["+972501234567"]
    assert [end["state"] for end in made.ends] == ["added"] * 3


def test_an_address_finds_whom_an_earlier_row_gave_it_to():
    made = planned({"phone": "0501234567", "email": "a@b.co"}, {"email": "A@B.CO", "name": "Maya"})

    assert [(one.phone, one.email, one.name) for one in made.people] == [("+972501234567", "a@b.co", "Maya")]


def test_what_is_known_is_not_overwritten_and_a_lead_is_moved_from_where_it_stands():
    maya = Someone(uuid4(), "Maya", "m@b.co", None, uuid4(), STAGES[1].id, "Visit")
    made = planned(
        {"phone": "0501234567", "name": "Other", "email": "o@b.co", "city": "Haifa", "stage": "won"},
        known={("phone", "+972501234567"): maya},
    )

    assert (maya.name, maya.email, maya.city) == ("Maya", "m@b.co", "Haifa")
    assert [(move.old, move.new) for move in made.moves] == [("Visit", "Won")]
    assert [one["kind"] for one in made.activities] == ["import", "details", "stage"]


def test_a_row_that_was_told_before_changes_nobody():
    row = {"phone": "0501234567", "budget": "7"}
    key = read_row(uuid4(), row, "IL").key
    made = planned(row, told_before=[key])

    assert (made.people, made.activities) == ([], [])
    assert [end["state"] for end in made.ends] == ["known"]


@pytest.mark.parametrize(
    ("standing", "cell", "noted"),
    [
        (None, "כן", ["granted"]),
        (None, "no", ["withdrawn"]),
        (None, "perhaps", []),
        ("granted", "unsubscribe", ["withdrawn"]),
        ("withdrawn", "yes", []),
        ("granted", "yes", []),
    ],
)
def test_what_a_row_says_of_marketing_is_noted_where_it_says_something_new(standing, cell, noted):
    maya = Someone(uuid4(), lead_id=uuid4(), stage_id=STAGES[0].id, consent=standing)
    made = planned({"phone": "0501234567", "consent": cell}, known={("phone", "+972501234567"): maya})

    assert [one["value"] for one in made.consents] == noted
