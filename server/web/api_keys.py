"""The page of API keys: made, shown once, revoked."""

from __future__ import annotations

from uuid import UUID
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.domains import accounts
from server.web.context import MemberVisit
from server.web.rendering import page, problem
from server.web.text import inert

PATH = "/settings/api-keys"
LONGEST_NAME = 80
SAID = {"revoked": "keys.said.revoked", "many": "keys.said.many"}


async def show_api_keys(request: Request, visit: MemberVisit) -> Response:
    """List the keys that are in force, with a form for another one."""
    said = request.query_params.get("said", "")
    return await _list(visit, said=said if said in SAID else "")


async def add_api_key(_: Request, visit: MemberVisit) -> Response:
    """Make a key and show it this once."""
    business_id, name = visit.login.business_id, inert(visit.form.get("name", "").strip())[:LONGEST_NAME]
    async with visit.context.database.transaction(business_id) as session:
        has_room = len(await accounts.list_api_keys(session)) < accounts.MOST_API_KEYS
        key = (await accounts.create_api_key(session, business_id, name or "API"))[1] if has_room else None
    return await _list(visit, key=key, said="" if has_room else "many")


async def revoke_api_key(request: Request, visit: MemberVisit) -> Response:
    """Take a key out of force; what uses it is refused from now on."""
    key_id: UUID = request.path_params["key_id"]
    async with visit.context.database.transaction(visit.login.business_id) as session:
        is_known = await accounts.revoke_api_key(session, key_id)
    if not is_known:
        return problem(visit, 404, "missing")
    return RedirectResponse(f"{PATH}?said=revoked", 303)


async def _list(visit: MemberVisit, *, key: str | None = None, said: str = "") -> Response:
    async with visit.context.database.transaction(visit.login.business_id) as session:
        keys = await accounts.list_api_keys(session)
    zone = ZoneInfo(visit.login.time_zone)
    return page(
        visit,
        "api_keys.html",
        path=PATH,
        keys=keys,
        key=key,
        longest=LONGEST_NAME,
        said=visit.words(SAID[said]) if said else "",
        at=lambda moment: moment.astimezone(zone).strftime("%d.%m.%Y %H:%M"),
    )
