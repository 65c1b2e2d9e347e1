"""Cards of people that customers send: whose, and under which numbers."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from server.providers.loose_json import text_of

MOST_CARDS = 20
MOST_PHONES = 5
LONGEST_NAME = 200
LONGEST_PHONE = 40


def told_cards(cards: Iterable[tuple[str | None, list[object]]]) -> list[dict[str, object]]:
    """Return each card's `name` and `phones`, as they were written; a card that says neither is none."""
    told = (((name or "")[:LONGEST_NAME], _phones(phones)) for name, phones in islice(cards, MOST_CARDS))
    return [{"name": name, "phones": phones} for name, phones in told if name or phones]


def _phones(told: list[object]) -> list[str]:
    written = ((text_of(one) or "").strip()[:LONGEST_PHONE] for one in told[:MOST_PHONES])
    return [phone for phone in written if phone]
