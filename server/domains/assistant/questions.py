"""From what a customer wrote to what is looked for; no I/O."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from server.domains.assistant.vocabulary import (
    GREETING_CORES,
    GREETINGS,
    KIN,
    PERSON,
    PRICE,
    STOP_WORDS,
    THANKS,
    THANKS_CORES,
)
from server.ports import ChatTurn

LONGEST_QUESTION = 2_000
MOST_TERMS = 24
# PostgreSQL refuses a search for a word of more than 2,046 bytes; nobody means one of this length.
LONGEST_WORD = 60
LINES_BEFORE = 2

_WORD = re.compile(r"[^\W_]+")
_NIQQUD = re.compile("[\u0591-\u05bd\u05bf\u05c1-\u05c7]")
_HOW_MUCH = re.compile(r"\bhow much\b|\bכמה\b(?!\s+(?:זמן|מהר|ימים|שעות|דקות))")
_SCRIPTS = (
    ("he", re.compile("[\u05d0-\u05ea]")),
    ("ar", re.compile("[\u0620-\u064a]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("en", re.compile("[a-z]", re.IGNORECASE)),
)
_PREFIXES = "הובלמשכ"
_SHORTEST_WORD = 2
_SHORTEST_STEM = 3
_LONGEST_PREFIX = 3
_HEBREW_ENDINGS = ("ים", "ות", "ה", "ת")
_ENGLISH_ENDINGS = ("ments", "ment", "ings", "ing", "ers", "ies", "es", "ed", "er", "s", "e", "y")


@dataclass(frozen=True)
class Term:
    """One thing a question speaks of.

    `forms` and `kin` are tsqueries: the word however it is inflected, and words that mean
    the same ("" where none are known). `word` is what titles are compared with, for typing slips.
    """

    word: str
    forms: str
    kin: str


def language_of(text: str, default: str) -> str:
    """Return he, en, ar or ru by the script most letters are in; `default` without any letter."""
    counts = {language: len(script.findall(text)) for language, script in _SCRIPTS}
    best = max(counts, key=lambda language: counts[language])
    return best if counts[best] else default


def plain(text: str) -> str:
    """Return a text's beginning in lower case and without niqqud."""
    return _NIQQUD.sub("", unicodedata.normalize("NFKC", text[:LONGEST_QUESTION])).lower()


def words_of(text: str) -> list[str]:
    """Return a text's words in lower case, without niqqud, punctuation or control characters."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(plain(text))]


def terms_of(question: str) -> list[Term]:
    """Return what a question speaks of, in its order; words that say little are left out."""
    asks_price = _HOW_MUCH.search(plain(question)) is not None
    words = [word for word in words_of(question) if not _says_little(word)]
    terms: dict[str, Term] = {}
    for word in ([PRICE[0]] if asks_price else []) + words:
        kin = _kin_of(word)
        # Words that mean the same are one thing asked, however often they are written.
        terms.setdefault(kin[0] if kin else stem_of(word), _term(word, kin))
    return list(terms.values())[:MOST_TERMS]


def is_greeting(text: str) -> bool:
    """Tell whether a message does nothing but greet."""
    return _is_only(text, GREETINGS, GREETING_CORES)


def is_thanks(text: str) -> bool:
    """Tell whether a message does nothing but thank, agree or smile."""
    return bool(text.strip()) and (
        _is_only(text, THANKS, THANKS_CORES)
        or not any(character.isalnum() or character in "?؟" for character in text)
    )


def wants_person(text: str) -> bool:
    """Tell whether a message asks to talk with somebody of the business."""
    return any(not PERSON.isdisjoint(_without_prefixes(word)) for word in words_of(text))


def looked_for(history: Sequence[ChatTurn]) -> tuple[list[Term], bool]:
    """Return what the last line asks, and whether that is clear enough to be answered word for word.

    "And how much?" is understood from what the customer wrote before; "yes" is not a question.
    """
    asked = terms_of(history[-1].content)
    if asked and not _asks_only_price(asked):
        return asked, True
    before = [turn.content for turn in history[:-1] if turn.role == "user"][-LINES_BEFORE:]
    terms = terms_of("\n".join([*before, history[-1].content]))
    return terms, bool(asked) and not _asks_only_price(terms)


def _asks_only_price(terms: Sequence[Term]) -> bool:
    return all(_kin_of(term.word) == PRICE for term in terms)


@lru_cache(maxsize=50_000)
def stem_of(word: str) -> str:
    """Return a word without the ending that inflects it."""
    endings = _HEBREW_ENDINGS if _is_hebrew(word) else _ENGLISH_ENDINGS
    for ending in endings:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word.removesuffix(ending)
    return word


def _is_only(text: str, words: frozenset[str], cores: frozenset[str]) -> bool:
    found = words_of(text)
    return "?" not in text and bool(found) and words.issuperset(found) and not cores.isdisjoint(found)


def _says_little(word: str) -> bool:
    if word.isdigit():
        return False
    return len(word) < _SHORTEST_WORD or word in STOP_WORDS or word == "כמה"


def _is_hebrew(word: str) -> bool:
    return "\u05d0" <= word[0] <= "\u05ea"


# The words of a business's entries are looked at with every answer.
@lru_cache(maxsize=10_000)
def _kin_of(word: str) -> tuple[str, ...]:
    roots = set(_without_prefixes(word)) if _is_hebrew(word) else {word}
    return next((kin for kin in KIN if not roots.isdisjoint(kin)), ())


@lru_cache(maxsize=10_000)
def _term(word: str, kin: tuple[str, ...]) -> Term:
    return Term(word=word, forms=_either(_forms(word)), kin=_either(_kin_forms(kin)))


def _kin_forms(kin: tuple[str, ...]) -> Iterable[str]:
    for word in kin:
        yield from _prefixed(word) if _is_hebrew(word) else [f"'{word}'"]


def _forms(word: str) -> Iterable[str]:
    if word.isdigit():
        return [f"'{word}'"]
    if not _is_hebrew(word):
        return [f"'{word}'", _from(stem_of(word))]
    return [form for root in _without_prefixes(word) for form in _prefixed(stem_of(root), root)]


def _without_prefixes(word: str) -> list[str]:
    """Return a Hebrew word and what may be left of it without its one to three prefix letters."""
    roots = [word]
    for cut in range(1, _LONGEST_PREFIX + 1):
        if word[cut - 1] not in _PREFIXES or len(word) - cut < _SHORTEST_STEM:
            break
        roots.append(word[cut:])
    return roots


def _prefixed(stem: str, word: str | None = None) -> list[str]:
    """Return a Hebrew word as it may stand in an entry: bare, or after one prefix letter."""
    bare = [_from(stem)] if word is not None else [f"'{stem}'"]
    whole = word or stem
    return [*bare, f"'{whole}'", *(f"'{prefix}{whole}'" for prefix in _PREFIXES)]


def _from(stem: str) -> str:
    # Three letters begin too many other words: "car" is not "card".
    if len(stem) > _SHORTEST_STEM or _is_hebrew(stem):
        return f"'{stem}':*"
    return " | ".join(f"'{stem}{ending}'" for ending in ("", "s", "e", "y", "ed", "ing", "ment"))


def _either(forms: Iterable[str]) -> str:
    return " | ".join(dict.fromkeys(forms))
