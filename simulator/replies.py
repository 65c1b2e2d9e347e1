"""What the simulated language model says: a pure function of the prompt, so a test can expect it."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from simulator.jsontypes import Json

_WORD = re.compile(r"[^\W\d_]{2,}|\d+")
_KNOWLEDGE_HEADING = re.compile(r"^\s*(?=#|<\w|.*:\s*$).{0,60}(knowledge|ידע).{0,60}$", re.IGNORECASE)
_CLOSING_TAG = re.compile(r"^\s*</[\w-]+>\s*$")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
_LABEL = re.compile(r"^(?:A|Answer|ת|תשובה)\s*:\s*", re.IGNORECASE | re.MULTILINE)
_QUESTION_LINE = re.compile(r"^(?:Q|Question|ש|שאלה)\s*:.*$", re.IGNORECASE | re.MULTILINE)
_HEBREW_PREFIXES = "והבלמשכ"
_SHORTEST_STEM = 3

_NEUTRAL = (
    (re.compile("[\u0590-\u05ff]"), "תודה שפנית אלינו. נבדוק ונחזור אליך בהקדם."),
    (re.compile("[\u0600-\u06ff]"), "شكرًا لتواصلك معنا. سنتحقق ونعود إليك قريبًا."),
    (re.compile("[\u0400-\u04ff]"), "Спасибо за обращение. Мы уточним и скоро ответим."),
)
_NEUTRAL_ENGLISH = "Thank you for your message. We will check and get back to you shortly."

_EMPTY_WORDS_TEXT = """
the and you your are for with how what when can does this that have from is do to of in it on at an my we
של על את זה מה כמה אני יש אתם לי לכם האם עם גם או אם היי שלום תודה
"""
_EMPTY_WORDS = frozenset(_EMPTY_WORDS_TEXT.split())


def reply_to(messages: Sequence[Json]) -> str:
    """Answer the last user message from the knowledge in the system message, else neutrally.

    Knowledge is what follows the last heading ("Knowledge:", "## Knowledge", "<knowledge>", or in Hebrew),
    else the whole system message; its entries are parted by blank lines or bullets.
    """
    question = _last_text(messages, "user")
    entries = knowledge_entries("\n\n".join(_texts(messages, "system")))
    best = _best_entry(question, entries)
    return _as_answer(best) if best else _neutral(question)


def knowledge_entries(system_text: str) -> list[str]:
    """Split the system message's knowledge into entries."""
    lines = [line for line in system_text.splitlines() if not _CLOSING_TAG.match(line)]
    headings = [number for number, line in enumerate(lines) if _KNOWLEDGE_HEADING.match(line)]
    entries: list[str] = []
    open_entry = False
    for line in lines[headings[-1] + 1 if headings else 0 :]:
        starts = bool(_BULLET.match(line)) or not open_entry
        text = _BULLET.sub("", line).strip()
        if text and starts:
            entries.append(text)
        elif text:
            entries[-1] += "\n" + text
        open_entry = bool(text)
    return entries


def rough_tokens(texts: Iterable[str]) -> int:
    """Count tokens the rough way: four characters each, one at least."""
    return sum(max(1, len(text) // 4) for text in texts)


def all_texts(messages: Sequence[Json]) -> list[str]:
    """List the text of every message."""
    return [_text_of(message) for message in messages]


def _best_entry(question: str, entries: list[str]) -> str | None:
    if not entries:
        return None
    asked = _stems(question)
    stems = [_stems(entry) for entry in entries]
    spread = Counter(stem for entry in stems for stem in entry)
    scores = [
        sum(math.log(1 + len(entries) / spread[stem]) for stem in sorted(asked & entry)) for entry in stems
    ]
    best = max(scores)
    return entries[scores.index(best)] if best > 0 else None


def _as_answer(entry: str) -> str:
    without_question = _QUESTION_LINE.sub("", entry).strip()
    return _LABEL.sub("", without_question or entry).strip()


def _neutral(question: str) -> str:
    return next((sentence for script, sentence in _NEUTRAL if script.search(question)), _NEUTRAL_ENGLISH)


def _stems(text: str) -> set[str]:
    words = (word for word in _WORD.findall(text.lower()) if word not in _EMPTY_WORDS)
    return {stem for word in words for stem in _forms(word)}


def _forms(word: str) -> set[str]:
    # A Hebrew word counts with and without a one-letter prefix, an English one with and without an s.
    forms = {word}
    if word[0] in _HEBREW_PREFIXES and len(word) > _SHORTEST_STEM:
        forms.add(word[1:])
    if word.isascii() and word.endswith("s") and len(word) > _SHORTEST_STEM:
        forms.add(word[:-1])
    return forms


def _last_text(messages: Sequence[Json], role: str) -> str:
    texts = _texts(messages, role)
    return texts[-1] if texts else ""


def _texts(messages: Sequence[Json], role: str) -> list[str]:
    roles = {role, "developer"} if role == "system" else {role}
    return [_text_of(message) for message in messages if message.get("role") in roles]


def _text_of(message: Json) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
