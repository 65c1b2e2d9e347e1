"""Files of messages: shown and downloaded by members of their business, and chosen to be sent."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from server.domains import media, messaging
from server.errors import BadInputError, ProviderDownError
from server.storages import MediaStorage
from server.web.context import MemberVisit
from server.web.multipart import read_file
from server.web.rendering import problem
from server.web.text import told_size

# Nothing in a stranger's file runs, whatever a browser takes it for; a picture by itself may be laid out.
POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
SEND_TIMEOUT_S = 30.0
UPLOAD_TIMEOUT_S = 900.0
# What a form takes beside its file.
FORM_BYTES = 128 * 1024
STATUSES = {"too_large": 413, "too_many": 429, "away": 503}
SAID = {
    "too_large": "file.upload_too_large",
    "empty": "file.upload_empty",
    "too_many": "file.upload_too_many",
    "away": "file.upload_away",
}
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")


@dataclass(frozen=True)
class Part:
    """Which bytes of a file are given: from `start` up to `end`, which is not included."""

    start: int
    end: int


async def show_media(request: Request, visit: MemberVisit) -> Response:
    """Give out a file, or the part of it that is asked for; another business's is not there."""
    async with visit.context.database.transaction(visit.login.business_id) as session:
        file = await media.get_file(session, request.path_params["media_id"])
    if file is None or file.state != "stored" or file.size_bytes is None:
        return problem(visit, 404, "missing")
    headers = _headers(file)
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    is_same = request.headers.get("if-range", headers["ETag"]) == headers["ETag"]
    part = part_of(request.headers.get("range", "") if is_same else "", file.size_bytes)
    if part is None:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{file.size_bytes}"})
    return FileResponse(visit.context.outside.media, file, part, headers)


async def fetch_again(request: Request, visit: MemberVisit) -> Response:
    """Ask once more for a file that did not come, and go back to its conversation."""
    media_id: UUID = request.path_params["media_id"]
    async with visit.context.database.transaction(visit.login.business_id) as session:
        is_known = await media.get_file(session, media_id) is not None
        conversation_id = await messaging.ask_for_file_again(session, media_id)
    if not is_known:
        return problem(visit, 404, "missing")
    return RedirectResponse("/inbox" if conversation_id is None else f"/inbox/{conversation_id}", 303)


async def upload(request: Request, visit: MemberVisit) -> Response:
    """Keep a file that is to be sent; its id goes with the message. Answers in JSON."""
    try:
        async with asyncio.timeout(UPLOAD_TIMEOUT_S):
            file = await _keep(request, visit)
    except (BadInputError, ProviderDownError, ClientDisconnect, TimeoutError) as error:
        return _refused(visit, error)
    told = {"id": str(file.id), "kind": file.kind, "name": file.file_name, "size_bytes": file.size_bytes}
    return JSONResponse(told | {"size": told_size(file.size_bytes or 0, visit.words)}, 201)


async def _keep(request: Request, visit: MemberVisit) -> media.MediaFile:
    outside = visit.context.outside
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told) > media.allowed_bytes(outside.media_limits) + FORM_BYTES:
        raise media.TooLargeError("too_large", "The file is larger than may be sent.")
    part = await read_file(request)
    return await media.keep_upload(
        visit.context.database,
        outside,
        visit.login.business_id,
        file_name=part.name,
        mimetype=part.mimetype,
        chunks=part.chunks,
    )


def _refused(visit: MemberVisit, error: Exception) -> JSONResponse:
    code = "away" if isinstance(error, ProviderDownError) else getattr(error, "code", "invalid")
    most = told_size(media.allowed_bytes(visit.context.outside.media_limits), visit.words)
    said = visit.words(SAID.get(code, "file.upload_invalid"), most=most)
    return JSONResponse({"error": code, "message": said}, STATUSES.get(code, 400))


def part_of(wanted: str, size_bytes: int) -> Part | None:
    """Read a Range header (RFC 9110, §14.2): all, where it asks for no single part; None beyond the end."""
    asked = _RANGE.fullmatch(wanted.strip())
    if asked is None:
        return Part(0, size_bytes)
    if asked[3]:
        return Part(max(0, size_bytes - int(asked[3])), size_bytes) if int(asked[3]) else None
    start, end = int(asked[1]), int(asked[2]) + 1 if asked[2] else size_bytes
    return Part(start, min(end, size_bytes)) if start < min(end, size_bytes) else None


def _headers(file: media.MediaFile) -> dict[str, str]:
    served = media.served_as(file.kind, file.mimetype)
    placed = "inline" if media.shown_as(file.kind, file.mimetype) else "attachment"
    name = file.file_name or f"{file.kind}-{file.created_at:%Y-%m-%d}"
    return {
        "Content-Type": served,
        "Content-Disposition": f"{placed}; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": POLICY,
        "ETag": f'"{(file.sha256 or "")[:32]}"',
        "Accept-Ranges": "bytes",
        # Kept, and asked about each time: whoever left the business sees it no longer.
        "Cache-Control": "private, no-cache",
    }


class FileResponse(Response):
    """A file on its way to a browser, chunk by chunk; one that the storage does not have is not there."""

    def __init__(
        self, storage: MediaStorage, file: media.MediaFile, part: Part, headers: dict[str, str]
    ) -> None:
        size = file.size_bytes or 0
        is_whole = (part.start, part.end) == (0, size)
        told = {"Content-Length": str(part.end - part.start)}
        if not is_whole:
            told["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{size}"
        super().__init__(status_code=200 if is_whole else 206, headers=headers | told)
        self._storage, self._file, self._part = storage, file, part

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or say that it cannot be had now."""
        is_begun = False
        try:
            async with self._storage.open(
                self._file.business_id, self._file.id, start=self._part.start, end=self._part.end
            ) as opened:
                await send(
                    {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
                )
                is_begun = True
                async for chunk in opened.chunks:
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (KeyError, ProviderDownError, TimeoutError) as error:
            # What has begun breaks off: the browser knows its length, and asks for the rest.
            if not is_begun:
                status = 404 if isinstance(error, KeyError) else 503
                await PlainTextResponse("The file cannot be had now.", status)(scope, receive, send)
