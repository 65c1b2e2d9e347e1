"""Leads as files: a CSV is taken in, looked at and imported by a job; all leads go out as one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from server.domains import contacts
from server.errors import BadInputError
from server.queue import own_jobs
from server.web.context import MemberVisit
from server.web.leads import by
from server.web.multipart import read_file
from server.web.rendering import page, problem

PATH = "/leads/import"
FIELDS = ("name", "first_name", "last_name", "phone", "email", "city", "message", "source", "stage")
ROWS_AT_ONCE = 500


async def show_imports(_: Request, visit: MemberVisit) -> Response:
    """List the last files, and take another."""
    async with visit.context.database.transaction(visit.login.business_id) as session:
        files = await contacts.list_imports(session, visit.login.business_id)
    return page(visit, "lead_imports.html", path=PATH, files=files)


async def upload(request: Request, visit: MemberVisit) -> Response:
    """Keep a file to be looked at; answers in JSON where to."""
    try:
        part = await read_file(request)
        content = await _whole(part.chunks)
        async with visit.context.database.transaction(visit.login.business_id) as session:
            kept = await contacts.keep_file(
                session, visit.login.business_id, name=part.name, content=content, made_by=by(visit)
            )
    except (BadInputError, ClientDisconnect) as error:
        code = getattr(error, "code", "bad_file")
        key = code if code in {"too_large", "too_many_rows"} else "bad_file"
        return JSONResponse({"error": code, "message": visit.words(f"leads.refused.{key}")}, 400)
    return JSONResponse({"to": f"{PATH}/{kept}"}, 201)


async def show_import(request: Request, visit: MemberVisit) -> Response:
    """Show a file's first rows to be mapped, or how far its import is."""
    return await _page(visit, request.path_params["import_id"])


async def start(request: Request, visit: MemberVisit) -> Response:
    """Import a file as it was mapped, or stop importing it."""
    import_id, business_id = request.path_params["import_id"], visit.login.business_id
    mapping = {key[1:]: kind for key, kind in visit.form.items() if key[:1] == "c" and kind in FIELDS}
    try:
        async with visit.context.database.transaction(business_id, user_id=visit.login.user_id) as session:
            file = await contacts.read_import(session, import_id)
            if file is None:
                return problem(visit, 404, "lead")
            if visit.form.get("act") == "stop" and file.job_id:
                await own_jobs.cancel(session, business_id, file.job_id)
            else:
                await contacts.start_import(session, business_id, import_id, mapping)
    except BadInputError as error:
        return await _page(visit, import_id, complaint=visit.words(f"leads.refused.{error.code}"))
    return RedirectResponse(f"{PATH}/{import_id}", 303)


async def export(_: Request, visit: MemberVisit) -> Response:
    """Send all leads as CSV, a part at a time."""
    headers = {"Content-Disposition": 'attachment; filename="leads.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(_sheet(visit), headers=headers, media_type="text/csv; charset=utf-8")


async def _page(visit: MemberVisit, import_id: UUID, complaint: str | None = None) -> Response:
    async with visit.context.database.transaction(visit.login.business_id) as session:
        file = await contacts.read_import(session, import_id)
    if file is None:
        return problem(visit, 404, "lead")
    values: dict[str, Any] = {"file": file, "fields": FIELDS, "complaint": complaint}
    status = 400 if complaint else 200
    return page(visit, "lead_import.html", status=status, path=f"{PATH}/{import_id}", **values)


async def _whole(chunks: AsyncIterator[bytes]) -> bytes:
    found = bytearray()
    async for chunk in chunks:
        found += chunk
        if len(found) > contacts.LARGEST_FILE_BYTES:
            raise BadInputError("too_large", "The file is over 20 MB.")
    return bytes(found)


async def _sheet(visit: MemberVisit) -> AsyncIterator[str]:
    """Yield the file; each part is read in a transaction of its own, which waits for no reader."""
    yield "\ufeff" + ",".join(contacts.EXPORT_COLUMNS) + "\r\n"
    after: UUID | None = None
    while True:
        async with visit.context.database.transaction(visit.login.business_id) as session:
            rows, after = await contacts.export_leads(
                session, visit.login.business_id, after=after, limit=ROWS_AT_ONCE
            )
        if not rows:
            return
        yield contacts.as_csv(rows)
