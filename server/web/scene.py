"""What a page of conversations shows at one moment; the page and its live stream read it alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request

from server import clock
from server.db import Session
from server.domains.messaging.attachments import NOTHING
from server.domains.messaging.pages import (
    ConversationPage,
    ConversationRow,
    Journey,
    Show,
    Sieve,
    list_conversations,
    read_conversation,
    read_newest_steps,
    read_steps,
    sieve_conversations,
)
from server.web.context import MemberVisit
from server.web.desk import desk_view
from server.web.rows import Shape, View

LINES = 50
BUBBLES = 100
# A search reads what was said in every conversation: a stream makes it anew only so often.
SEARCH_EVERY_S = 15.0


class Place(StrEnum):
    """Where conversations are shown; the value is what the live stream is asked for."""

    INBOX = "inbox"
    DEMO = "demo"


FOLDERS = {Place.INBOX: "/inbox/", Place.DEMO: "/demo?conversation="}


@dataclass(frozen=True)
class Window:
    """A page of conversations and the one it has open; the demo opens the newest by itself."""

    place: Place
    chosen: UUID | None = None
    show: Show = Show.ALL
    sought: str = ""

    @property
    def query(self) -> str:
        """Return what the addresses of this list carry, such as ?show=mine; nothing for the whole list."""
        told = ({"show": self.show.value} if self.show is not Show.ALL else {}) | (
            {"q": self.sought} if self.sought else {}
        )
        return f"?{urlencode(told)}" if told else ""

    @property
    def live_url(self) -> str:
        """Return the address of the stream that keeps this page up to date."""
        chosen = {"conversation": str(self.chosen)} if self.chosen else {}
        return f"/live?{urlencode({'page': self.place} | chosen)}{self.query.replace('?', '&', 1)}"


@dataclass(frozen=True)
class Scene:
    """The list, the open conversation with its bubbles, and on the demo the seven steps."""

    conversations: list[View]
    opened: View | None
    messages: list[View]
    steps: View | None
    desk: View | None = None


def asked_show(request: Request) -> Show:
    """Read which conversations are wanted; what is not known counts as all."""
    asked = request.query_params.get("show", "")
    return Show(asked) if asked in set(Show) else Show.ALL


def chosen_conversation(request: Request) -> UUID | None:
    """Read the query's `conversation`; what is not an id counts as none."""
    try:
        return UUID(request.query_params.get("conversation", ""))
    except ValueError:
        return None


class Listing:
    """The lines of one page's list, for as long as it is open."""

    def __init__(self, visit: MemberVisit, window: Window) -> None:
        self._visit = visit
        self._window = window
        self._sought: list[ConversationRow] = []
        self._sought_at: float | None = None

    async def read(self, session: Session) -> list[ConversationRow]:
        """Return the lines as they are now; those of a search as they were a moment ago."""
        business_id, window = self._visit.login.business_id, self._window
        if not window.query:
            return await list_conversations(session, business_id, LINES)
        now = clock.monotonic_s()
        if window.sought and self._sought_at is not None and now - self._sought_at < SEARCH_EVERY_S:
            return self._sought
        sieve = Sieve(window.show, window.sought, self._visit.login.user_id)
        self._sought = await sieve_conversations(session, business_id, sieve, LINES)
        self._sought_at = now
        return self._sought


async def read_scene(
    session: Session, visit: MemberVisit, window: Window, listing: Listing | None = None
) -> Scene:
    """Read everything a page shows, in one transaction of the visitor's business."""
    rows = await (listing or Listing(visit, window)).read(session)
    opens = window.chosen
    if opens is None and window.place is Place.DEMO and rows:
        opens = rows[0].id
    page = await read_conversation(session, opens, BUBBLES) if opens else None
    shape = Shape(visit.words, visit.login.time_zone, folder=FOLDERS[window.place], query=window.query)
    return Scene(
        conversations=[shape.conversation(row) for row in rows],
        opened=shape.conversation(page.conversation) if page else None,
        messages=_bubbles(shape, page) if page else [],
        steps=shape.steps(await _journey(session, visit, window, page))
        if window.place is Place.DEMO
        else None,
        desk=desk_view(visit.words, visit.login.time_zone, page)
        if page is not None and window.place is Place.INBOX
        else None,
    )


def _bubbles(shape: Shape, page: ConversationPage) -> list[View]:
    return [shape.message(one, page.attached.get(one.id, NOTHING)) for one in page.messages]


async def _journey(
    session: Session, visit: MemberVisit, window: Window, page: ConversationPage | None
) -> Journey | None:
    if window.chosen is not None and page is not None:
        return await read_steps(session, page.conversation.id)
    return await read_newest_steps(session, visit.login.business_id)
