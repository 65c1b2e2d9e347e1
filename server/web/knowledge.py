"""What the assistant may tell customers: entries listed, searched, written, imported and removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.domains import assistant
from server.errors import BadInputError
from server.web.assistant import words_of
from server.web.assistant_words import KNOWLEDGE_SAID
from server.web.context import MemberVisit
from server.web.rendering import page, problem

PATH = "/settings/knowledge"
LINES = 50
LAST_PAGE = 1_000
LONGEST_QUERY = 200


@dataclass(frozen=True)
class Shown:
    """One page of entries, counted from 1."""

    entries: Sequence[assistant.Entry]
    number: int
    has_more: bool


async def show_knowledge(request: Request, visit: MemberVisit) -> Response:
    """List the entries, or those that fit a search."""
    query, said = request.query_params.get("q", "")[:LONGEST_QUERY], request.query_params.get("said", "")
    shown = await _read(visit, query, _page_number(request.query_params.get("page", "")))
    words = visit.words(KNOWLEDGE_SAID[said]) if said in KNOWLEDGE_SAID else ""
    return page(visit, "knowledge.html", path=PATH, query=query, said=words, shown=shown)


async def show_new(_: Request, visit: MemberVisit) -> Response:
    """Show an empty entry."""
    return _edit(visit, None, assistant.Written("", ""))


async def show_entry(request: Request, visit: MemberVisit) -> Response:
    """Show an entry to be changed; another business's is not there."""
    entry_id: UUID = request.path_params["entry_id"]
    async with visit.context.database.transaction(visit.login.business_id) as session:
        entry = await assistant.find_entry(session, visit.login.business_id, entry_id)
    if entry is None:
        return problem(visit, 404, "missing")
    return _edit(visit, entry_id, assistant.Written(entry.title, entry.body))


async def save_new(_: Request, visit: MemberVisit) -> Response:
    """Add an entry."""
    return await _save(visit, None)


async def save_entry(request: Request, visit: MemberVisit) -> Response:
    """Change an entry."""
    return await _save(visit, request.path_params["entry_id"])


async def remove(request: Request, visit: MemberVisit) -> Response:
    """Remove an entry."""
    async with visit.context.database.transaction(visit.login.business_id) as session:
        was_there = await assistant.remove_entry(
            session, visit.login.business_id, request.path_params["entry_id"]
        )
    if not was_there:
        return problem(visit, 404, "missing")
    return RedirectResponse(f"{PATH}?said=removed", 303)


async def show_import(_: Request, visit: MemberVisit) -> Response:
    """Show the box that a text is pasted into."""
    return _import_page(visit, "")


async def import_text(_: Request, visit: MemberVisit) -> Response:
    """Add all that a text says."""
    text = visit.form.get("text", "")
    try:
        async with visit.context.database.transaction(visit.login.business_id) as session:
            await assistant.import_entries(session, visit.login.business_id, text)
    except BadInputError as error:
        return _import_page(visit, text, error)
    return RedirectResponse(f"{PATH}?said=imported", 303)


async def _read(visit: MemberVisit, query: str, number: int) -> Shown:
    async with visit.context.database.transaction(visit.login.business_id) as session:
        entries = await assistant.list_entries(
            session, visit.login.business_id, query=query, start=(number - 1) * LINES, limit=LINES + 1
        )
    return Shown(entries[:LINES], number, has_more=len(entries) > LINES)


async def _save(visit: MemberVisit, entry_id: UUID | None) -> Response:
    written = assistant.Written(visit.form.get("title", ""), visit.form.get("body", ""))
    try:
        async with visit.context.database.transaction(visit.login.business_id) as session:
            await assistant.save_entry(session, visit.login.business_id, entry_id, written)
    except BadInputError as error:
        if error.code == "no_such_entry":
            return problem(visit, 404, "missing")
        return _edit(visit, entry_id, written, wrong=error)
    return RedirectResponse(f"{PATH}?said=saved", 303)


def _edit(
    visit: MemberVisit, entry_id: UUID | None, written: assistant.Written, wrong: BadInputError | None = None
) -> Response:
    return page(
        *(visit, "knowledge_entry.html"),
        status=200 if wrong is None else 422,
        path=f"{PATH}/{entry_id or 'new'}",
        entry_id=entry_id,
        title=written.title,
        body=written.body,
        wrong=words_of(visit, wrong),
    )


def _import_page(visit: MemberVisit, text: str, wrong: BadInputError | None = None) -> Response:
    return page(
        *(visit, "knowledge_import.html"),
        status=200 if wrong is None else 422,
        path=f"{PATH}/import",
        text=text,
        wrong=words_of(visit, wrong),
    )


def _page_number(written: str) -> int:
    return max(1, min(int(written), LAST_PAGE)) if written.isascii() and written.isdigit() else 1
