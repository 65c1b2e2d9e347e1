"""Leads as files: a CSV is taken in, looked at and imported by a job; all leads go out as one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from server.domains import contacts
from server.errors import BadInputError
from server.queue import own_jobs
from server.web.context import MemberVisit
from server.web.lead_mapping import FIELDS, columns_of, mapping_of, refusal
from server.web.lead_progress import shown
from server.web.leads import by
from server.web.multipart import read_file
from server.web.rendering import page, problem
from server.web.words import Words

PATH = "/leads/import"
ROWS_AT_ONCE = 500


async def show_imports(_: Request, visit: MemberVisit) -> Response:
    """List the last files, and take another."""
    async with visit.context.database.transaction(visit.login.business_id) as session:
        files = await contacts.list_imports(session, visit.login.business_id)
    most = contacts.LARGEST_FILE_BYTES
    return page(visit, "lead_imports.html", path=PATH, files=files, most_bytes=most)


async def upload(request: Request, visit: MemberVisit) -> Response:
    """Keep a file to be looked at; answers in JSON where to."""
    try:
        part = await read_file(request)
        file = await contacts.check_file(await _whole(part.chunks))
        async with visit.context.database.transaction(visit.login.business_id) as session:
            kept = await contacts.keep_file(
                session, visit.login.business_id, file, name=part.name, made_by=by(visit)
            )
    except (BadInputError, ClientDisconnect) as error:
        return JSONResponse(refusal(visit.words, error), 400)
    return JSONResponse({"to": f"{PATH}/{kept}"}, 201)


async def show_import(request: Request, visit: MemberVisit) -> Response:
    """Show a file's first rows to be mapped, or how far its import is."""
    return await _page(visit, request.path_params["import_id"])


async def start(request: Request, visit: MemberVisit) -> Response:
    """Import a file as it was mapped, stop importing it, or go on."""
    import_id, mapping = request.path_params["import_id"], mapping_of(visit.form)
    try:
        is_there = await _do(visit, import_id, mapping)
    except BadInputError as error:
        complaint = visit.words(f"leads.refused.{error.code}")
        return await _page(visit, import_id, complaint=complaint, mapping=mapping)
    if not is_there:
        return problem(visit, 404, "lead")
    return RedirectResponse(f"{PATH}/{import_id}", 303)


async def export(_: Request, visit: MemberVisit) -> Response:
    """Send all leads as CSV, a part at a time."""
    return _csv("leads.csv", _sheet(visit))


async def export_bad(request: Request, visit: MemberVisit) -> Response:
    """Send the rows of a file that were not taken, each with its line and why."""
    import_id = request.path_params["import_id"]
    async with visit.context.database.transaction(visit.login.business_id) as session:
        names = await contacts.bad_names(session, import_id)
    return (
        _csv("rows-not-taken.csv", _bad_sheet(visit, import_id, names))
        if names
        else problem(visit, 404, "lead")
    )


async def _do(visit: MemberVisit, import_id: UUID, mapping: Mapping[str, str]) -> bool:
    """Do what a button says; tell whether there is such a file."""
    business_id = visit.login.business_id
    async with visit.context.database.transaction(business_id, user_id=visit.login.user_id) as session:
        stand = await contacts.read_stand(session, import_id)
        if stand is None:
            return False
        match visit.form.get("act"):
            case "stop":
                await own_jobs.cancel(session, business_id, stand.job_id or "")
            case "resume":
                await contacts.resume_import(session, business_id, import_id)
            case _:
                await contacts.start_import(session, business_id, import_id, mapping)
    return True


async def _page(visit: MemberVisit, import_id: UUID, **refused: Any) -> Response:
    """Show a file; `complaint` and `mapping` are what was wrong and what the member had chosen."""
    async with visit.context.database.transaction(visit.login.business_id) as session:
        file = await contacts.read_import(session, import_id)
    if file is None:
        return problem(visit, 404, "lead")
    values = _values(visit.words, file, **refused)
    status = 400 if refused else 200
    return page(visit, "lead_import.html", status=status, path=f"{PATH}/{import_id}", **values)


def _values(
    t: Words, file: contacts.Import, *, complaint: str | None = None, mapping: Mapping[str, str] | None = None
) -> dict[str, Any]:
    is_unreadable = file.stand.state == "unreadable"
    return {
        "file": file,
        "fields": FIELDS,
        "stand": shown(t, file.stand),
        "columns": columns_of(t, file, file.mapping if mapping is None else mapping),
        "complaint": t("leads.refused.bad_file") if is_unreadable else complaint,
        "may_resume": file.stand.state in contacts.RESUMABLE,
        "live_url": f"/live?page=import&import={file.id}",
    }


def _csv(name: str, rows: AsyncIterator[str]) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(rows, headers=headers, media_type="text/csv; charset=utf-8")


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


async def _bad_sheet(visit: MemberVisit, import_id: UUID, names: list[str]) -> AsyncIterator[str]:
    """Yield them under our names first, so that the file can be put right and brought again."""
    t = visit.words
    ordered = [name for name in FIELDS if name in names] + [name for name in names if name not in FIELDS]
    yield "\ufeff" + contacts.rows_as_csv([[t("leads.import.line_head"), t("leads.import.why"), *ordered]])
    after = 0
    while True:
        async with visit.context.database.transaction(visit.login.business_id) as session:
            rows = await contacts.bad_rows(session, import_id, after=after, limit=ROWS_AT_ONCE)
        if not rows:
            return
        after = rows[-1].line
        yield contacts.rows_as_csv(
            [
                [
                    str(row.line),
                    t(f"leads.import.reason.{row.reason}"),
                    *(row.fields.get(name, "") for name in ordered),
                ]
                for row in rows
            ]
        )
