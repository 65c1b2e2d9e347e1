"""Server-sent events: rows are read again on every hint, and what changed is sent.

PostgreSQL is the truth. Hints only make it quick: without any, rows are read every two seconds.
A client that comes back after a break is sent everything once more, so nothing can be missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server import clock, tasks
from server.db import Session
from server.domains import accounts
from server.errors import StoreUnavailableError
from server.log import get_logger
from server.web.changes import Told, event
from server.web.context import MemberVisit
from server.web.feed import TooManyStreamsError
from server.web.jobs import jobs_news
from server.web.lead_progress import import_news
from server.web.scene import Listing, Place, Window, asked_show, chosen_conversation, read_scene
from server.web.schedule import ScheduleNews

log = get_logger(__name__)

# What a page must be told now, given what it was told before; read in the visitor's own transaction.
News: TypeAlias = Callable[[Session], Awaitable[bytes]]
# Looks at what is not in the database, before that transaction: it holds a connection that others need.
Look: TypeAlias = Callable[[], Awaitable[None]]

READ_EVERY_S = 2.0
# Hints come in bunches: one reading answers all of a bunch, and a busy shop costs ten readings a second.
READ_GAP_S = 0.1
HEARTBEAT_S = 15.0
# A client that takes nothing for so long is gone, whatever its connection says.
SEND_TIMEOUT_S = 10.0
RECONNECT = b"retry: 1000\n\n"
HEARTBEAT = b": still here\n\n"
GOODBYE = event("bye", {})


async def stream(request: Request, visit: MemberVisit) -> Response:
    """Open the stream of one page: `?page=inbox|demo|jobs|schedule|import`, with what is open on it."""
    asked = request.query_params.get("page")
    if asked == "jobs":
        return LiveResponse(visit, jobs_news(visit))
    if asked == "schedule":
        timed = ScheduleNews(visit)
        return LiveResponse(visit, timed, look=timed.look)
    if asked == "import":
        return LiveResponse(visit, import_news(visit, request.query_params.get("import", "")))
    place = Place.DEMO if asked == Place.DEMO else Place.INBOX
    sought = request.query_params.get("q", "")
    window = Window(place, chosen_conversation(request), asked_show(request), sought)
    return LiveResponse(visit, _conversation_news(visit, window))


def _conversation_news(visit: MemberVisit, window: Window) -> News:
    told, listing = Told(), Listing(visit, window)

    async def news(session: Session) -> bytes:
        return told.news(await read_scene(session, visit, window, listing))

    return news


class LiveResponse(Response):
    """One open stream; ends when the client goes, the session ends or the server stops."""

    media_type = "text/event-stream"

    def __init__(self, visit: MemberVisit, news: News, *, look: Look | None = None) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._visit = visit
        self._news = news
        self._look = look
        self._woken = asyncio.Event()
        self._is_over = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream, or refuse it when too many are open."""
        login = self._visit.login
        try:
            with self._visit.context.streams.one_more(
                session=login.token_digest, business_id=login.business_id
            ):
                await self._serve(receive, send)
        except TooManyStreamsError:
            await Response(status_code=429, headers={"Retry-After": "10"})(scope, receive, send)

    async def _serve(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with self._listening(receive):
            try:
                async for piece in self._pieces():
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
            except TimeoutError:
                log.info("live_client_stuck", business_id=self._visit.login.business_id)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield RECONNECT
        said_at = clock.monotonic_s()
        while not self._is_over:
            read_at = clock.monotonic_s()
            self._woken.clear()
            piece = await self._read()
            if not piece and read_at - said_at >= HEARTBEAT_S:
                piece = HEARTBEAT
            if piece:
                said_at = read_at
                yield piece
            await self._next_reading(read_at)

    async def _read(self) -> bytes:
        """Read the rows again; a database that is away says nothing, and is asked again."""
        if self._look is not None:
            await self._look()
        try:
            async with self._visit.context.database.transaction(
                self._visit.login.business_id, user_id=self._visit.login.user_id
            ) as session:
                if not await accounts.is_still_logged_in(session, self._visit.login):
                    self._is_over = True
                    return GOODBYE
                return await self._news(session)
        except StoreUnavailableError:
            return b""

    async def _next_reading(self, last_at: float) -> None:
        try:
            async with asyncio.timeout(READ_EVERY_S):
                await self._woken.wait()
        except TimeoutError:
            return
        if not self._is_over:
            await asyncio.sleep(max(0.0, last_at + READ_GAP_S - clock.monotonic_s()))

    @asynccontextmanager
    async def _listening(self, receive: Receive) -> AsyncIterator[None]:
        listening = [
            asyncio.create_task(self._follow_hints()),
            asyncio.create_task(self._end_with_client(receive)),
            asyncio.create_task(self._end_with_server()),
        ]
        try:
            yield
        finally:
            for failure in await tasks.end(*listening):
                if isinstance(failure, Exception):
                    log.warning("live_feed_failed", error=type(failure).__name__)

    async def _follow_hints(self) -> None:
        async with self._visit.context.live.subscribe(self._visit.login.business_id) as hints:
            async for _ in hints:
                self._woken.set()

    async def _end_with_client(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._end()

    async def _end_with_server(self) -> None:
        await self._visit.context.stopping.wait()
        self._end()

    def _end(self) -> None:
        self._is_over = True
        self._woken.set()
