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


def known_names(identities: Mapping[IdentityKind, str]) -> dict[IdentityKind, str]:
    """Return the identities that can be kept, each in its one spelling; a phone comes first."""
    found: dict[IdentityKind, str] = {}
    phone = normalise_phone(identities.get(IdentityKind.PHONE, ""))
    if phone is not None:
        found[IdentityKind.PHONE] = phone
    lid = identities.get(IdentityKind.LID, "").strip()
    if lid and len(lid) <= LONGEST_IDENTITY:
        found[IdentityKind.LID] = lid
    return found


def presentable_name(name: str | None) -> str | None:
    """Return a name fit to be shown, or None when there is none."""
    told = " ".join((name or "").split())
    return told[:LONGEST_NAME] or None
