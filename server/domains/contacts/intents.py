"""Whole messages that say no, or yes again, to marketing, and what is answered where it is asked. No I/O.

Only a message that says nothing else counts: "stop by at five" is a customer on their way.
The English words are those that carriers honour (CTIA Messaging Principles, 5.1.3).
"""

from __future__ import annotations

import re
import unicodedata

from server.domains.contacts.consenting import GRANTED, WITHDRAWN

# Longer than any of the phrases below, marks and repeated punctuation included.
LONGEST = 80
OPT_OUT = frozenset(
    {
        "stop",
        "stop all",
        "stopall",
        "stop messages",
        "unsubscribe",
        "opt out",
        "optout",
        "remove me",
        "please remove me",
        "unsubscribe me",
        "הסר",
        "להסרה",
        "להסיר",
        "הסרה",
        "הסירו",
        "הסר אותי",
        "הסירו אותי",
        "תסירו אותי",
        "תסיר אותי",
        "נא להסיר",
        "נא להסיר אותי",
        "בבקשה להסיר",
        "תורידו אותי",
        "תורידו אותי מהרשימה",
        "הסירו אותי מהרשימה",
        "תפסיקו לשלוח",
        "די לשלוח",
        "עצור",
    }
)
OPT_IN = frozenset(
    {
        "start",
        "unstop",
        "subscribe",
        "resubscribe",
        "opt in",
        "חזרו אליי בשיווק",
        "חזרו אלי בשיווק",
        "הצטרפות",
        "להצטרף",
        "הרשמה",
        "צרפו אותי",
    }
)
# What a cell or a box says where it is asked; "on" is what a browser sends for a box that was ticked.
YES = frozenset(
    {"yes", "y", "true", "1", "on", "granted", "opted in", "subscribed", "i agree", "agreed"}
    | {"כן", "מאשר", "מאשרת", "אישר", "אישרה", "אני מאשר", "אני מאשרת", "מסכים", "מסכימה"}
)
NO = frozenset(
    {"no", "n", "false", "0", "off", "withdrawn", "opted out", "unsubscribed"}
    | {"לא", "לא מאשר", "לא מאשרת", "לא מסכים", "לא מסכימה", "הוסר"}
)
NOT_WORDS = re.compile(r"[^\w\s]+|_")
# Points under and over Hebrew letters; NFKD takes Latin accents apart as well.
HEBREW = re.compile("[\u0590-\u05ff]")
CONFIRMATIONS = {
    (WITHDRAWN, "he"): "הסרנו אותך מרשימת הדיוור. אפשר להמשיך לכתוב לנו כאן כרגיל; לחזרה לרשימה כתבו START.",
    (WITHDRAWN, "en"): (
        "You will get no more marketing messages from us. You can still write to us here; "
        "reply START to get them again."
    ),
    (GRANTED, "he"): "חזרת לרשימת הדיוור שלנו. להסרה כתבו הסר.",
    (GRANTED, "en"): "You will get our marketing messages again. Reply STOP to end them.",
}


def consent_in(told: str | None) -> str | None:
    """Return granted or withdrawn where a message says that and nothing else, else None."""
    if told is None or len(told) > LONGEST:
        return None
    words = normalised(told)
    if words in OPT_OUT:
        return WITHDRAWN
    return GRANTED if words in OPT_IN else None


def answer_in(told: str) -> str | None:
    """Return what was answered where marketing is asked for; None where it is neither a yes nor a no."""
    words = " ".join(told.casefold().split())
    if words in YES:
        return GRANTED
    return WITHDRAWN if words in NO else consent_in(told)


def normalised(told: str) -> str:
    """Return the words alone: one case, no punctuation, no marks of direction, no points."""
    apart = unicodedata.normalize("NFKD", told)
    plain = "".join(one for one in apart if unicodedata.category(one) not in {"Cf", "Mn"})
    return " ".join(NOT_WORDS.sub(" ", plain).casefold().split())


def confirmation(value: str, told: str) -> str:
    """Return the one sentence that answers such a message, in its own language."""
    return CONFIRMATIONS[value, "he" if HEBREW.search(told) else "en"]
