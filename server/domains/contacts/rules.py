"""What counts as the same name."""

from __future__ import annotations

import re
from collections.abc import Mapping

import phonenumbers

from server.ports import IdentityKind

# E.164: at most fifteen digits; shorter than seven is a service code, not a person.
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
LONGEST_NAME = 200
LONGEST_IDENTITY = 100
LONGEST_EMAIL = 320
# One @, something on both sides, a dot in the host: what is an address is for its mail server to say.
EMAIL = re.compile(r"[^\s@<>\x00-\x1f]+@[^\s@<>\x00-\x1f]+\.[^\s@<>\x00-\x1f.]+")
# What forms, phones and models write where nobody told a name: never to be spoken to anybody.
NO_NAMES = frozenset(
    {
        *("unknown", "unknown name", "unknown contact", "unknown caller", "no name", "noname", "anonymous"),
        *("customer", "n/a", "na", "none", "null", "nil", "undefined"),
        *("לא ידוע", "לא ידועה", "שם לא ידוע", "ללא שם", "אין שם", "אנונימי", "אנונימית", "לקוח"),
    }
)
AROUND_NAMES = " .,;:!?*_~'\"-()[]<>"
A_NUMBER = re.compile(r"[\d\s+().-]{7,}")
# What names a person for good. A username can be given up and taken by someone else, and an address is typed
# by whoever fills in a form: it finds its contact again, and proves nothing.
PROOF = (IdentityKind.PHONE, IdentityKind.LID, IdentityKind.BUSINESS_SCOPED_ID)


def normalise_phone(written: str, country: str | None = None) -> str | None:
    """Return a phone in E.164, or None when it is none; `country` (two letters) reads local ones.

    A number that a messaging service delivers from exists, so one that is well formed is taken
    even where the numbering plan at hand does not know it yet.
    """
    try:
        parsed = phonenumbers.parse(written, country)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is not None and phonenumbers.is_possible_number(parsed):
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return written if E164.fullmatch(written) else None


def normalise_email(written: str) -> str | None:
    """Return an address in lower case, or None when it is none."""
    told = written.strip().lower()
    return told if len(told) <= LONGEST_EMAIL and EMAIL.fullmatch(told) else None


def normalise_username(written: str) -> str | None:
    """Return a username without its @ and in lower case, or None when there is none."""
    told = written.strip().removeprefix("@").lower()
    return told if told and len(told) <= LONGEST_IDENTITY and told.isprintable() else None


def known_names(identities: Mapping[IdentityKind, str]) -> dict[IdentityKind, str]:
    """Return the identities that can be kept, each in its one spelling; a phone comes first."""
    told = {
        IdentityKind.PHONE: normalise_phone(identities.get(IdentityKind.PHONE, "")),
        IdentityKind.LID: _told(identities, IdentityKind.LID),
        IdentityKind.BUSINESS_SCOPED_ID: _told(identities, IdentityKind.BUSINESS_SCOPED_ID),
        IdentityKind.EMAIL: normalise_email(identities.get(IdentityKind.EMAIL, "")),
        IdentityKind.USERNAME: normalise_username(identities.get(IdentityKind.USERNAME, "")),
    }
    return {kind: value for kind, value in told.items() if value is not None}


def _told(identities: Mapping[IdentityKind, str], kind: IdentityKind) -> str | None:
    told = identities.get(kind, "").strip()
    return told if told and len(told) <= LONGEST_IDENTITY else None


def proving_names(identities: Mapping[IdentityKind, str]) -> dict[IdentityKind, str]:
    """Return the identities that name a person for good."""
    names = known_names(identities)
    return {kind: names[kind] for kind in PROOF if kind in names}


def share_a_name(one: Mapping[IdentityKind, str], other: Mapping[IdentityKind, str]) -> bool:
    """Tell whether two people have a name in common that proves them to be one."""
    return not proving_names(one).items().isdisjoint(proving_names(other).items())


def presentable_name(name: str | None) -> str | None:
    """Return a name fit to be shown and spoken, or None for none, what stands for none, or a number."""
    told = " ".join((name or "").split())
    bare = told.casefold().strip(AROUND_NAMES)
    is_name = bool(bare) and bare not in NO_NAMES and not A_NUMBER.fullmatch(told)
    return told[:LONGEST_NAME] if is_name else None
