"""The two languages pages speak, and which of them a visitor reads."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import orjson
from starlette.requests import Request

FOLDER = Path(__file__).parent / "translations"
COOKIE = "prosaas_lang"


class Language(StrEnum):
    """A language of the pages; its value is its code in HTML."""

    HEBREW = "he"
    ENGLISH = "en"

    @property
    def direction(self) -> str:
        """Return the direction it is read in, as HTML's `dir` wants it."""
        return "rtl" if self is Language.HEBREW else "ltr"


class Words:
    """One language's sentences by key; `words("key", name="Dana")` fills in `{name}`."""

    def __init__(self, language: Language, sentences: Mapping[str, str]) -> None:
        self.language = language
        self._sentences = sentences

    def __call__(self, key: str, /, **values: str) -> str:
        """Return a sentence; KeyError when there is none, which a test keeps from happening."""
        sentence = self._sentences[key]
        return sentence.format(**values) if values else sentence


def load_words() -> dict[Language, Words]:
    """Read both languages from their files."""
    return {
        language: Words(language, orjson.loads((FOLDER / f"{language}.json").read_bytes()))
        for language in Language
    }


def choose_language(request: Request, business_language: str | None) -> Language:
    """Return what was asked for now, else asked for before, else the business's, else the browser's."""
    accepted = [
        part.split(";")[0].strip()[:2].lower()
        for part in request.headers.get("accept-language", "").split(",")[:20]
    ]
    asked = [request.query_params.get("lang"), request.cookies.get(COOKIE), business_language, *accepted]
    return next((Language(code) for code in asked if code in set(Language)), Language.HEBREW)
