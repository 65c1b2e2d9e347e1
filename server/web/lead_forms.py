"""The page of forms that bring leads: an owner opens one, copies its address once, and closes it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.domains import contacts
from server.errors import BadInputError
from server.web.context import MemberVisit
from server.web.leads import uuid_in
from server.web.rendering import page
from server.web.rows import told_time
from server.web.schedule_rows import zone_of

PATH = "/settings/lead-forms"


async def show_forms(_: Request, visit: MemberVisit) -> Response:
    """List the open forms."""
    return await _page(visit)


async def change_forms(_: Request, visit: MemberVisit) -> Response:
    """Open a form and show its address this once, or close one."""
    business_id, closed = visit.login.business_id, uuid_in(visit.form.get("close", ""))
    try:
        async with visit.context.database.transaction(business_id, user_id=visit.login.user_id) as session:
            if closed is None:
                secret = (await contacts.open_form(session, business_id, visit.form.get("name", "")))[1]
            else:
                await contacts.close_form(session, closed)
    except BadInputError as error:
        return await _page(visit, complaint=visit.words(f"leads.refused.{error.code}"))
    return RedirectResponse(PATH, 303) if closed else await _page(visit, secret=secret)


async def _page(visit: MemberVisit, *, complaint: str | None = None, secret: str | None = None) -> Response:
    async with visit.context.database.transaction(visit.login.business_id) as session:
        forms = await contacts.list_forms(session, visit.login.business_id)
    zone = zone_of(visit.login.time_zone)
    shown = [
        {"id": form.id, "name": form.name, "last_at": told_time(form.last_at, zone) if form.last_at else None}
        for form in forms
    ]
    address = f"{visit.context.public_url}/api/webhook/leads/{secret}" if secret else None
    status = 400 if complaint else 200
    return page(
        visit, "lead_forms.html", status=status, path=PATH, forms=shown, address=address, complaint=complaint
    )
