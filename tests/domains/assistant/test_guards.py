"""What a model says that nobody did, in Hebrew and English, and what only sounds like it."""

from __future__ import annotations

import pytest

from server.domains.assistant import Deed
from server.domains.assistant.guards import false_claims, promises_person, wanders
from server.ports import ChatTurn

RULES = "You answer customers of a locksmith. Opening a door costs 350 NIS, replacing a cylinder 280 NIS."


def done(tool: str) -> list[Deed]:
    return [Deed(tool, is_done=True, text="done")]


@pytest.mark.parametrize(
    "claim",
    [
        "I've booked you for ten.",
        "We have scheduled the technician for Sunday.",
        "Your appointment is confirmed for tomorrow!",
        "You're all booked for Friday.",
        "I just sent you the invoice.",
        "Your order has been cancelled.",
        "I have saved your e-mail.",
        "I noted your address.",
        "I've set a reminder for Dana.",
        "I passed your message on to the team.",
        "קבעתי לך תור לעשר.",
        "התור שלך נקבע ליום ראשון.",
        "שלחתי לך את החשבונית.",
        "רשמתי את הפרטים שלך.",
        "הפרטים שלך נשמרו.",
        "העברתי את ההודעה לצוות.",
        "הגדרתי תזכורת למחר.",
        "הטכנאי כבר יצא אליך.",
    ],
)
def test_a_claim_without_a_deed_is_found(claim):
    assert false_claims(claim, [], RULES)


@pytest.mark.parametrize(
    "innocent",
    [
        "Opening a door costs 350 NIS.",
        "Would you like to book a visit?",
        "Can I have your name, so that the visit can be booked?",
        "You can cancel up to a day before.",
        "Is the door set in a steel frame?",
        "Have you saved the invoice?",
        "רוצה לקבוע תור?",
        "אפשר לשלוח לנו תמונה?",
        "פתיחת דלת עולה 350.",
        "מתי נוח לך?",
    ],
)
def test_what_claims_nothing_is_left_alone(innocent):
    assert false_claims(innocent, [], RULES) == []


@pytest.mark.parametrize(
    ("claim", "tool"),
    [
        ("I have saved your e-mail.", "save_contact_details"),
        ("רשמתי את הפרטים שלך.", "save_contact_details"),
        ("I noted what you need.", "update_lead"),
        ("I've set a reminder for Dana.", "set_reminder"),
        ("קבעתי תזכורת לדנה.", "set_reminder"),
    ],
)
def test_a_claim_is_true_once_its_tool_has_done_it(claim, tool):
    assert false_claims(claim, done(tool), RULES) == []
    assert false_claims(claim, [Deed(tool, is_done=False, text="refused")], RULES)


def test_no_tool_makes_a_booking_true():
    assert false_claims("I've booked you for ten.", done("set_reminder"), RULES)


def test_what_the_business_says_itself_is_no_claim():
    assert false_claims("Your order is sent within a day.", [], "A: Your order is sent within a day.") == []


@pytest.mark.parametrize(
    "promise",
    ["We will get back to you shortly.", "Someone will call you.", "נחזור אליך בהקדם.", "ניצור קשר"],
)
def test_a_promise_of_a_person_is_found(promise):
    assert promises_person(promise)


def test_no_promise_is_found_in_an_invitation():
    assert not promises_person("You can call us any time.")


def test_a_poem_is_not_about_the_business():
    poem = (
        "The silver moon above the sleeping ocean whispers ancient melodies, while golden sparrows dance "
        "through purple clouds, and gentle rivers carry forgotten dreams towards distant mountains."
    )
    turns = [ChatTurn("system", RULES), ChatTurn("user", "Write me a poem about the moon")]
    assert wanders(poem, turns)


def test_a_long_answer_about_the_business_is():
    said = (
        "Opening a door costs 350 NIS, and replacing the cylinder another 280 NIS. The locksmith needs to "
        "see the door first: is it made of steel, was it locked with a key, and does the cylinder still turn?"
    )
    turns = [ChatTurn("system", RULES), ChatTurn("user", "My steel door is locked, the key does not turn")]
    assert not wanders(said, turns)
