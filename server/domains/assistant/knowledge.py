"""Entries of knowledge as people keep them: listed, searched, written, and read from a text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from server.db import Session
from server.domains.assistant import pages, queries
from server.domains.assistant.pages import Entry
from server.domains.assistant.questions import language_of, terms_of
from server.errors import BadInputError

LONGEST_TITLE = 200
LONGEST_BODY = 4_000
MOST_ENTRIES = 2_000
MOST_IMPORTED = 200

_QUESTION = re.compile(r"^\s*(?:Q|Question|ש|שאלה)\s*[:.]\s*", re.IGNORECASE)
_ANSWER = re.compile(r"^\s*(?:A|Answer|ת|תשובה)\s*[:.]\s*", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•#]+|\d+[.)])\s+")


@dataclass(frozen=True)
class Written:
    """An entry as somebody wrote it; the language is told by its letters."""

    title: str
    body: str

    @property
    def language(self) -> str:
        """Return the language that most of its letters are of."""
        return language_of(f"{self.title} {self.body}", "en")


async def list_entries(
    session: Session, business_id: int, *, query: str, start: int, limit: int
) -> list[Entry]:
    """Return entries: those that fit a query, the best first, or all, those changed last first."""
    if not query.strip():
        return await pages.list_entries(session, business_id, start=start, limit=limit)
    found = await queries.search_entries(
        session, business_id, terms_of(query), language=None, limit=start + limit
    )
    return await pages.get_entries(session, business_id, [entry.id for entry in found[start:]])


async def find_entry(session: Session, business_id: int, entry_id: UUID) -> Entry | None:
    """Return an entry of a business."""
    return next(iter(await pages.get_entries(session, business_id, [entry_id])), None)


async def save_entry(session: Session, business_id: int, entry_id: UUID | None, written: Written) -> None:
    """Add an entry, or change the one of this id.

    Raises BadInputError `bad_entry`, `too_many_entries`, `entry_exists` (the title is another's) or
    `no_such_entry`.
    """
    checked = _checked(written)
    if entry_id is None:
        await _add(session, business_id, [checked])
        return
    try:
        async with session.begin_nested():
            is_there = await pages.update_entry(
                session,
                business_id,
                entry_id,
                title=checked.title,
                body=checked.body,
                language=checked.language,
            )
    except IntegrityError:
        raise BadInputError("entry_exists", "Another entry has this title.") from None
    if not is_there:
        raise BadInputError("no_such_entry", "There is no such entry any more.")


async def import_entries(session: Session, business_id: int, text: str) -> int:
    """Add what a text says, an entry a paragraph; one of a known title replaces it. Returns how many.

    Raises BadInputError as `save_entry` does, and adds nothing then.
    """
    written = [_checked(one) for one in read_entries(text)]
    if not written:
        raise BadInputError("bad_entry", "There is no entry in this text.")
    await _add(session, business_id, written)
    return len(written)


async def remove_entry(session: Session, business_id: int, entry_id: UUID) -> bool:
    """Remove an entry; tell whether it was there."""
    return await pages.delete_entry(session, business_id, entry_id)


def read_entries(text: str) -> list[Written]:
    """Read "Q: … A: …" pairs, or paragraphs whose first line is the title; no I/O."""
    entries: list[Written] = []
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:Q|Question|ש|שאלה)\s*[:.])", text.replace("\r\n", "\n")):
        lines = [_BULLET.sub("", line).strip() for line in paragraph.splitlines() if line.strip()]
        if not lines:
            continue
        title = _QUESTION.sub("", lines[0])
        body = "\n".join(_ANSWER.sub("", line) for line in lines[1:])
        # A single line is its own title; a long one is known by its beginning.
        entries.append(Written(title[:LONGEST_TITLE], body or title))
    if len(entries) > MOST_IMPORTED:
        raise BadInputError("too_many_entries", f"A text may hold at most {MOST_IMPORTED} entries.")
    return entries


async def _add(session: Session, business_id: int, entries: list[Written]) -> None:
    if await pages.count_entries(session, business_id) + len(entries) > MOST_ENTRIES:
        raise BadInputError("too_many_entries", f"A business may have {MOST_ENTRIES} entries.")
    for one in entries:
        await queries.upsert_entry(
            session, business_id, title=one.title, body=one.body, language=one.language
        )


def _checked(written: Written) -> Written:
    title = " ".join(written.title.replace("\x00", "").split())
    body = written.body.replace("\x00", "").replace("\r\n", "\n").strip()
    if not title or not body:
        raise BadInputError("bad_entry", "An entry needs a title and a text.")
    if len(title) > LONGEST_TITLE or len(body) > LONGEST_BODY:
        raise BadInputError(
            "bad_entry", f"A title has up to {LONGEST_TITLE} characters, a text up to {LONGEST_BODY}."
        )
    return Written(title, body)
