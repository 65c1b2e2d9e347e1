"""Reading what forms, ad platforms and automations call a name, a phone or a message. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_FIELDS = 200
MOST_DEPTH = 8
LONGEST_FIELD = 10_000
LONGEST_KEY = 200
# Under which of a field's own keys a builder says what it is called, and what was typed.
NAMES = ("name", "key", "field", "label", "title", "id")
VALUES = ("value", "values", "answer", "raw_value")


def _words(told: str) -> frozenset[str]:
    return frozenset(told.split())


ALIASES: Mapping[str, frozenset[str]] = {
    "name": _words("name fullname yourname contactname leadname customername clientname שם שםמלא שםהלקוח"),
    "first_name": _words("firstname fname givenname שםפרטי"),
    "last_name": _words("lastname lname surname familyname שםמשפחה"),
    "phone": _words(
        "phone tel telephone mobile cell cellphone phonenumber mobilenumber mobilephone yourphone whatsapp"
        " טלפון נייד טלפוןנייד מספרטלפון מספרנייד פלאפון סלולרי"
    ),
    "email": _words("email mail emailaddress youremail emailaddr אימייל מייל דואל דוארל כתובתמייל"),
    "city": _words("city town עיר ישוב יישוב"),
    "message": _words(
        "message notes note comments comment yourmessage text description inquiry"
        " הודעה הערות הערה תוכן תוכןהפנייה תוכןההודעה"
    ),
    "source": _words("source utmsource leadsource מקור מקורהגעה"),
    "stage": _words("stage leadstage status שלב סטטוס"),
}
# How the question is called whether somebody agrees to be sent marketing.
CONSENT = "consent"
ASKS_CONSENT = _words(
    "consent marketing marketingconsent consentmarketing marketingoptin acceptsmarketing agreetomarketing"
    " emailconsent smsconsent whatsappconsent optin optedin whatsappoptin subscribe subscribed newsletter"
    " newsletteroptin הסכמה הסכמהלדיוור הסכמהלשיווק אישורדיוור אישורלדיוור אישורקבלתדיוור דיוור מאשרדיוור"
    " מאשרתדיוור מאשרקבלתדיוור מאשרתקבלתדיוור אנימאשרקבלתדיוור אנימאשרתקבלתדיוור"
)
BRACKETS = re.compile(r"\[([^\[\]]+)\]$")
NOT_LETTERS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Written:
    """What a form says; `others` are the fields that are nobody's alias, as they came."""

    name: str = ""
    phone: str = ""
    email: str = ""
    city: str = ""
    message: str = ""
    source: str = ""
    stage: str = ""
    others: Mapping[str, str] = field(default_factory=dict)


def flatten(body: Mapping[str, Any]) -> dict[str, str]:
    """Return a body's fields by their names, nested ones by the last of theirs; at most MOST_FIELDS."""
    found: dict[str, str] = {}
    for key, value in _walk(body, "", 0):
        name = key[:LONGEST_KEY].replace("\x00", "\ufffd")
        told = value.replace("\x00", "\ufffd")[:LONGEST_FIELD]
        if len(found) >= MOST_FIELDS:
            break
        if name and told and name not in found:
            found[name] = told
    return found


def read_fields(fields: Mapping[str, str]) -> Written:
    """Sort fields by what they are, whatever they are called; the first of several wins."""
    known: dict[str, str] = {}
    others: dict[str, str] = {}
    for key, value in fields.items():
        kind = kind_of(key)
        if kind is None or kind in known:
            others[key] = value
        else:
            known[kind] = value.strip()
    whole = " ".join(part for part in (known.pop("first_name", ""), known.pop("last_name", "")) if part)
    known["name"] = known.get("name") or whole
    return Written(**known, others=others)


def kind_of(key: str) -> str | None:
    """Return which alias a field's name is: its last part counts, without case and punctuation."""
    told = _last(key)
    return next((kind for kind, names in ALIASES.items() if told in names), None)


def asks_consent(key: str) -> bool:
    """Tell whether a field asks for consent to marketing, by its name."""
    return _last(key) in ASKS_CONSENT


def consent_fields(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that ask for consent to marketing, as they came."""
    return {key: value for key, value in fields.items() if asks_consent(key)}


def plain(name: str) -> str:
    """Return a name without case, spaces and punctuation."""
    return NOT_LETTERS.sub("", name.casefold())


def _last(key: str) -> str:
    inner = BRACKETS.search(key)
    return plain(inner[1] if inner else key.rpartition(".")[2])


def _walk(value: Any, key: str, depth: int) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield key, value
        case bool() | int() | float():
            yield key, str(value)
        case dict() if depth < MOST_DEPTH:
            yield from _walk_object(value, key, depth)
        case list() if depth < MOST_DEPTH:
            if all(isinstance(one, str | int | float) for one in value):
                yield key, ", ".join(str(one) for one in value)
                return
            for one in value:
                yield from _walk(one, key, depth + 1)


def _walk_object(value: Mapping[str, Any], key: str, depth: int) -> Iterator[tuple[str, str]]:
    typed = next((value[one] for one in VALUES if one in value), None)
    called = next((value[one] for one in NAMES if isinstance(value.get(one), str) and value[one]), "")
    # {"name": "phone", "value": "050..."} is one field; its own key, if any, is the better name.
    if typed is not None and (called or key):
        named = [one for one in (key.rpartition(".")[2], called) if one]
        best = next((one for one in named if kind_of(one) or asks_consent(one)), named[-1])
        yield from _walk(typed, best, depth + 1)
        return
    for inner, one in value.items():
        yield from _walk(one, f"{key}.{inner}" if key else str(inner), depth + 1)
