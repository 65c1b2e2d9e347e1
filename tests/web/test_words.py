"""Both languages say everything, and nothing that no page asks for."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import orjson

import server.web
from server.web.settings import SUBJECTS
from server.web.words import FOLDER, Language, load_words

WEB = Path(server.web.__file__).parent
FAMILY = re.compile(r'problem\(visit, \d+, "(\w+)"\)')


def _sentences(language: Language) -> dict[str, str]:
    sentences: dict[str, str] = orjson.loads((FOLDER / f"{language}.json").read_bytes())
    return sentences


def _sources() -> str:
    files = [*WEB.glob("*.py"), *(WEB / "templates").glob("*.html")]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_both_languages_have_the_same_keys_in_the_same_order() -> None:
    assert list(_sentences(Language.HEBREW)) == list(_sentences(Language.ENGLISH))


def test_both_languages_fill_in_the_same_values() -> None:
    for key, sentence in _sentences(Language.ENGLISH).items():
        translated = _sentences(Language.HEBREW)[key]
        assert _values(translated) == _values(sentence), key


def test_every_key_a_page_asks_for_exists_and_every_key_is_asked_for() -> None:
    sources = _sources()
    keys = set(_sentences(Language.ENGLISH))
    families = {key.split(".")[0] for key in keys}
    asked = {
        found
        for found in re.findall(r"""["']([a-z]+\.[a-z_.]+)["']""", sources)
        if found.split(".")[0] in families and not found.endswith((".html", ".js", ".css", ".svg"))
    }
    asked |= {f"problem.{name}.{part}" for name in FAMILY.findall(sources) for part in ("title", "text")}
    asked |= {f"settings.{one.name}.{part}" for one in SUBJECTS for part in ("title", "text")}
    assert asked == keys


def test_no_sentence_is_empty_or_markup() -> None:
    for language in Language:
        for key, sentence in _sentences(language).items():
            assert sentence.strip() == sentence != "", key
            assert "<" not in sentence, key


def test_every_hebrew_sentence_but_names_is_in_hebrew() -> None:
    said_alike = {"app.name", "app.other_language", "author.assistant"}
    hebrew = load_words()[Language.HEBREW]
    for key in _sentences(Language.HEBREW):
        if key not in said_alike:
            assert re.search("[א-ת]", hebrew(key)), key


def _values(sentence: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}
