"""Both languages say everything, and nothing that no page asks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from string import Formatter

import orjson

import server.web
from server.domains import contacts
from server.ports import IdentityKind
from server.web.lead_mapping import FIELDS, REFUSALS
from server.web.lead_rows import ACTORS, SOURCES
from server.web.leads import SAID
from server.web.settings import SUBJECTS
from server.web.words import FOLDER, Language, load_words

WEB = Path(server.web.__file__).parent
FILES = (".html", ".js", ".css", ".svg", ".csv")
DOMAIN = Path(contacts.__file__).parent
PROBLEM = re.compile(r'problem\(visit, \d+, "(\w+)"\)')
REFUSAL = re.compile(r'Bad(?:Input|Sheet)Error\(\s*"(\w+)"')
# Told to the web site that posts a form, never on a page.
TOLD_TO_SITES = frozenset({"no_fields"})
TITLED = ("title", "text")


def _refusals() -> set[str]:
    """Return every refusal that the domain's own lines raise, and the pages' before they ask it."""
    files = [*DOMAIN.glob("*.py"), *WEB.glob("lead*.py")]
    found = {code for file in files for code in REFUSAL.findall(file.read_text(encoding="utf-8"))}
    return found - TOLD_TO_SITES | {*REFUSALS}


# Sentences whose keys pages build, by how the keys begin: with the names that can follow.
BUILT: Mapping[str, Callable[[], Iterable[str]]] = {
    "problem.": lambda: (f"{name}.{part}" for name in PROBLEM.findall(_sources()) for part in TITLED),
    "settings.": lambda: (f"{one.name}.{part}" for one in SUBJECTS for part in TITLED),
    "leads.activity.": lambda: contacts.ACTIVITIES,
    "leads.actor.": lambda: ACTORS,
    "leads.colour.": lambda: contacts.COLOURS,
    "leads.consent.": lambda: contacts.CONSENTS,
    "leads.consent.by.": lambda: contacts.CONSENT_SOURCES,
    "leads.field.": lambda: FIELDS,
    "leads.import.reason.": lambda: contacts.ROW_FAULTS,
    "leads.import.state.": lambda: contacts.IMPORT_STATES,
    "leads.kind.": lambda: IdentityKind,
    "leads.refused.": _refusals,
    "leads.said.": lambda: SAID,
    "leads.sort.": lambda: contacts.SORTS,
    "leads.source.": lambda: SOURCES,
    "leads.why.": lambda: contacts.ALIKE,
}


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
        for found in re.findall(r"""["']([a-z]+\.[a-z_.]*[a-z_])["']""", sources)
        if found.split(".")[0] in families and not found.endswith(FILES)
    }
    asked |= {beginning + name for beginning, names in BUILT.items() for name in names()}
    assert asked == keys


def test_it_is_known_of_every_key_that_a_page_builds_what_it_is_built_from() -> None:
    families = {key.split(".")[0] for key in _sentences(Language.ENGLISH)}
    found = re.findall(r"""["']([a-z]+\.(?:[a-z_]+\.)*)["'{]""", _sources())
    assert {beginning for beginning in found if beginning.split(".")[0] in families} == set(BUILT)


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
