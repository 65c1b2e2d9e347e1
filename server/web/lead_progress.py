"""How far the import of a file is, for its page and while that is open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from server.db import Session
from server.domains import contacts
from server.web.changes import event
from server.web.context import MemberVisit
from server.web.rows import View
from server.web.words import Words

# Files that will come further by themselves.
GOES_ON = ("waiting", "running")


def shown(t: Words, stand: contacts.Stand) -> View:
    """Return how far a file came, in words and for its bar."""
    counts = {name: stand.counts.get(name, 0) for name in ("added", "known", "bad")}
    told = {name: f"{amount:,}" for name, amount in counts.items()}
    return {
        "state": stand.state,
        "word": t(f"leads.import.state.{stand.state}"),
        "total": stand.total,
        "taken": stand.total - stand.left,
        "counts": t("leads.import.counts", total=f"{stand.total:,}", **told) if stand.total else "",
        "goes_on": stand.state in GOES_ON,
    }


def import_news(visit: MemberVisit, asked: str) -> Callable[[Session], Awaitable[bytes]]:
    """Tell an open page how far its file is, whenever that changed."""
    told: View = {}

    async def news(session: Session) -> bytes:
        nonlocal told
        stand = await contacts.read_stand(session, import_id) if import_id else None
        view = shown(visit.words, stand) if stand else {}
        is_new, told = view != told, view
        return event("import", view) if is_new else b""

    try:
        import_id = UUID(asked)
    except ValueError:
        import_id = None
    return news
