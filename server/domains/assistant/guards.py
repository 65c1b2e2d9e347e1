"""What a model is not believed: claims without a deed, promises of a person, talk of other things. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from server.domains.assistant.questions import language_of, stem_of, terms_of
from server.domains.assistant.toolbox import Deed
from server.ports import ChatTurn

SAVE, LEAD, REMIND, PERSON, LOOK_UP = TOOLS = (
    "save_contact_details",
    "update_lead",
    "set_reminder",
    "hand_over_to_person",
    "look_up_knowledge",
)
# A shorter answer speaks of too little to be measured by its words.
_LEAST_TERMS = 14
_LEAST_SHARED = 0.12

_WE = r"\b(?:i|we)(?:['\u2019]ve| have|['\u2019]ll have)?(?: now| just| already| also| successfully)*"
_YOURS = (
    r"\b(?:your|the|an?) (?:\w+ ){0,3}?"
    r"(?:appointment|booking|order|visit|reservation|slot|meeting|table|technician|delivery|payment|refund)"
    r"(?: \w+){0,4}? (?:is|has been|was|are)(?: now| already| all)*"
)
# A claim in either language, and the tools that would make it true: none at all for what no tool does.
_CLAIMS: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    (
        re.compile(
            rf"{_WE} (?:saved|noted|recorded|registered|updated|stored|added|wrote (?:it |that )?down)\b"
            r"|\b(?:שמרתי|שמרנו|רשמתי|רשמנו|עדכנתי|עדכנו|הוספתי|הוספנו|תיעדתי)\b"
            r"|\byour (?:\w+ ){0,2}(?:details|name|e-?mail|number|request) (?:is|are|has been|have been) "
            r"(?:saved|noted|recorded|updated)\b"
            r"|הפרטים (?:שלך |שלכם )?(?:נשמרו|נרשמו|עודכנו)",
            re.IGNORECASE,
        ),
        frozenset({SAVE, LEAD, REMIND}),
    ),
    (
        re.compile(
            rf"{_WE} (?:set|created|scheduled|made|added) (?:up )?(?:a|the|your) (?:\w+ )?reminder"
            r"|\breminder (?:is|has been|was) (?:set|created|scheduled)"
            r"|(?:הגדרתי|קבעתי|יצרתי|רשמתי|שמתי) (?:לך |לכם |לעצמנו )?תזכורת|תזכורת (?:נקבעה|הוגדרה|נוצרה)",
            re.IGNORECASE,
        ),
        frozenset({REMIND}),
    ),
    (
        re.compile(
            rf"{_WE} (?:passed|forwarded|transferred|notified|informed|alerted|escalated|handed)\b"
            r"|\b(?:העברתי|העברנו|הודעתי|יידעתי|עדכנתי את (?:הצוות|המנהל|הטכנאי))\b",
            re.IGNORECASE,
        ),
        frozenset({PERSON, REMIND}),
    ),
    (
        re.compile(
            rf"{_WE} (?:booked|scheduled(?! (?:a|the|your) (?:\w+ )?reminder)|reserved|arranged"
            r"|confirmed|ordered|sent|emailed|cancell?ed|rescheduled|refunded|dispatched|charged|paid)\b"
            rf"|{_YOURS} (?:booked|scheduled|confirmed|reserved|set|placed|cancell?ed|sent|arranged"
            r"|on (?:its|the) way)\b"
            r"|\byou(?:['\u2019]re| are) (?:now |all )?(?:booked|scheduled|confirmed)\b"
            r"|\b(?:קבעתי|קבענו|תיאמתי|תיאמנו|שריינתי|שריינו|הזמנתי|הזמנו|שלחתי|שלחנו|ביטלתי|ביטלנו"
            r"|אישרתי|אישרנו|זיכיתי|זיכינו|חייבתי)\b(?! (?:לך |לכם |לעצמנו )?תזכורת)"
            r"|(?:התור|הפגישה|הביקור|ההזמנה|השולחן|הטכנאי|המשלוח)(?: \S+){0,2} "
            r"(?:נקבע|נקבעה|אושר|אושרה|שוריין|בוצעה|הוזמן|בוטל|בוטלה|נשלח|יצא|בדרך)"
            r"|\bנקבע(?:ה|ו)? (?:לך|לכם)\b",
            re.IGNORECASE,
        ),
        frozenset(),
    ),
)
_PROMISE = re.compile(
    r"\b(?:we|i|someone|somebody|a person|a colleague|(?:a |the |our )(?:team|technician|manager"
    r"|representative)(?: member)?)(?:['\u2019]ll| will| shall|(?: is|['\u2019]re| are)? going to)"
    r"(?: \w+){0,3}? (?:get back|call|contact|reply|reach out|be in touch|come back|phone|follow up)\b"
    r"|(?:נחזור|אחזור|יחזרו|יחזור|תחזור|ניצור|אצור|ייצור|יצרו|נתקשר|אתקשר|יתקשר|יתקשרו) "
    r"(?:אליך|אלייך|אליכם|איתך|עמך|איתכם|עמכם|קשר)"
    r"|(?:свяжемся|перезвоним|ответим вам|сообщим вам)|(?:سنعود إليك|سنتواصل معك|سنتصل بك)",
    re.IGNORECASE,
)


def false_claims(said: str, deeds: Iterable[Deed], told: str) -> list[str]:
    """Return what an answer says was done though no tool did it, in its own words.

    What the business itself says in the same words, in what a model was `told`, is no claim.
    """
    done = {deed.tool for deed in deeds if deed.is_done}
    return [
        found[0]
        for claim, tools in _CLAIMS
        if (found := claim.search(said)) and done.isdisjoint(tools) and found[0] not in told
    ]


def promises_person(said: str) -> bool:
    """Tell whether an answer says that somebody will come back to the customer."""
    return _PROMISE.search(said) is not None


def wanders(said: str, turns: Sequence[ChatTurn]) -> bool:
    """Tell whether a long answer shares next to no word with the business and its conversation.

    A poem or a recipe that a customer talked a model into does; only a text in a language that the model
    was given something in can be measured.
    """
    spoken = {stem_of(term.word) for term in terms_of(said)}
    given = " ".join(turn.content for turn in turns)
    if len(spoken) < _LEAST_TERMS or not _speaks(given, language_of(said, "")):
        return False
    known = {stem_of(word) for word in _words(given)}
    return len(spoken & known) / len(spoken) < _LEAST_SHARED


def _speaks(given: str, language: str) -> bool:
    # The rules themselves are in English, so that enough English always stands there.
    return language == "en" or sum("\u05d0" <= one <= "\u05ea" for one in given) > 200  # noqa: PLR2004


def _words(text: str) -> Iterable[str]:
    return re.findall(r"[^\W_]+", text.lower())
