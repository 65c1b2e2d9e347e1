"""Where an owner connects WhatsApp: a bridge, or a number at Meta; secrets go in and never come out again."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.domains import messaging
from server.domains.messaging import BRIDGE, CLOUD, Away, Channel, CloudNumber
from server.errors import BadInputError, Refusal
from server.queue.holds import Hold
from server.web.context import MemberVisit
from server.web.desk import AWAY
from server.web.rendering import page, problem
from server.web.template_rows import templates_view

PATH = "/settings/channels"
META_ID = re.compile(r"[0-9]{5,32}")
SECRET = re.compile(r"[!-~]{16,2000}")
LONGEST_URL = 300
ANY_ADDRESS = "*"
FIELDS = ("base_url", "number", "waba")
KINDS = {BRIDGE: "channels.whatsapp_bridge", CLOUD: "channels.whatsapp_cloud"}
HELD = {
    Refusal.CREDENTIALS: "channels.held.credentials",
    Refusal.PAYMENT: "channels.held.payment",
    Refusal.POLICY: "channels.held.policy",
}
SAID = {"saved": "channels.saved", "asked": "channels.templates.asked"}
WRONG = {
    "address": "channels.wrong.address",
    "not_allowed": "channels.wrong.not_allowed",
    "secret": "channels.wrong.secret",
    "secret_missing": "channels.wrong.secret_missing",
    "meta_id": "channels.wrong.meta_id",
}


async def show_channels(request: Request, visit: MemberVisit) -> Response:
    """List the business's channels with their state, and the forms that connect one."""
    return await _show(visit, said=request.query_params.get("said", ""))


async def connect_bridge(_: Request, visit: MemberVisit) -> Response:
    """Connect a bridge or follow its new address; a secret that was made here is shown this once."""
    try:
        made = await _save_bridge(visit, visit.form)
    except BadInputError as error:
        return await _show(visit, wrong=error.code, status=422)
    if made:
        return await _show(visit, made_secret=made)
    return RedirectResponse(f"{PATH}?said=saved", 303)


async def connect_number(_: Request, visit: MemberVisit) -> Response:
    """Connect a number at Meta or follow its new secrets."""
    try:
        await _save_number(visit, visit.form)
    except BadInputError as error:
        return await _show(visit, wrong=error.code, status=422)
    return RedirectResponse(f"{PATH}?said=saved", 303)


async def refresh_templates(request: Request, visit: MemberVisit) -> Response:
    """Ask for a number's templates; another business's number is not there."""
    channel_id: UUID = request.path_params["channel_id"]
    async with _transaction(visit) as session:
        known = {one.id for one in await messaging.list_channels(session) if one.kind == CLOUD}
        if channel_id in known:
            await messaging.ask_for_templates(session, visit.login.business_id, channel_id)
    if channel_id not in known:
        return problem(visit, 404, "missing")
    return RedirectResponse(f"{PATH}?said=asked", 303)


async def _show(
    visit: MemberVisit, *, said: str = "", wrong: str = "", made_secret: str = "", status: int = 200
) -> Response:
    told = {
        "said": visit.words(SAID[said]) if said in SAID else "",
        "wrong": visit.words(WRONG[wrong]) if wrong else "",
        "made_secret": made_secret,
        "entered": {name: visit.form.get(name, "") if wrong else "" for name in FIELDS},
    }
    return page(visit, "channels.html", status=status, path=PATH, **told, **await _listed(visit))


async def _listed(visit: MemberVisit) -> dict[str, Any]:
    async with visit.context.database.transaction(visit.login.business_id) as session:
        channels = await messaging.list_channels(session)
        holds = await messaging.list_holds(session, channels)
        away = {one.channel_id: one for one in await messaging.list_away(session)}
        templates = await messaging.list_templates(session, visit.login.business_id)
    return {
        "channels": [
            _row(visit, channel, holds.get(channel.id), away.get(channel.id))
            | templates_view(visit.words, channel, templates)
            for channel in channels
        ],
        "bridge": next((channel for channel in channels if channel.kind == BRIDGE), None),
    }


def _row(visit: MemberVisit, channel: Channel, hold: Hold | None, away: Away | None) -> dict[str, Any]:
    """Return what the list says of a channel; of its secrets only the token that Meta must be told."""
    words = visit.words
    is_cloud = channel.kind == CLOUD
    state = HELD[hold.meaning] if hold else AWAY[away.reason] if away else "channels.open"
    return {
        "id": str(channel.id),
        "kind": words(KINDS[channel.kind]),
        "name": channel.account_id if is_cloud else channel.base_url,
        "is_held": hold is not None or away is not None,
        "state": words(state),
        "callback": f"{visit.context.public_url}/webhook/whatsapp/cloud/{channel.id}" if is_cloud else "",
        "verify_token": visit.context.cipher.decrypt(channel.verify_token_encrypted) if is_cloud else "",
    }


async def _save_bridge(visit: MemberVisit, form: Mapping[str, str]) -> str:
    """Connect the bridge; return the secret that was made for it, or nothing."""
    url, told = form.get("base_url", "").strip(), form.get("secret", "").strip()
    _require_address(url, visit.context.bridge_urls)
    if told and not SECRET.fullmatch(told):
        raise BadInputError("secret", "The secret is too short, or has characters that cannot be sent.")
    async with _transaction(visit) as session:
        known = next((one for one in await messaging.list_channels(session) if one.kind == BRIDGE), None)
        is_new = not told and (known is None or form.get("renew") == "yes")
        made = secrets.token_urlsafe(32) if is_new else ""
        kept = visit.context.cipher.decrypt(known.secret_encrypted) if known and not (made or told) else ""
        channel_id = await messaging.connect_bridge(
            session,
            visit.login.business_id,
            base_url=url,
            secret=made or told or kept,
            tenant=f"business_{visit.login.business_id}",
            cipher=visit.context.cipher,
        )
        await messaging.ask_to_reopen(session, visit.login.business_id, channel_id)
    return made


async def _save_number(visit: MemberVisit, form: Mapping[str, str]) -> None:
    told = {name: form.get(name, "").strip() for name in ("number", "waba", "access_token", "app_secret")}
    if not META_ID.fullmatch(told["number"]) or not META_ID.fullmatch(told["waba"]):
        raise BadInputError("meta_id", "Ids at Meta are digits.")
    if any(told[name] and not SECRET.fullmatch(told[name]) for name in ("access_token", "app_secret")):
        raise BadInputError("secret", "The secret is too short, or has characters that cannot be sent.")
    number = CloudNumber(told["number"], told["waba"], told["access_token"], told["app_secret"])
    async with _transaction(visit) as session:
        channel_id = await messaging.connect_cloud(
            session, visit.login.business_id, number=number, cipher=visit.context.cipher
        )
        await messaging.ask_to_reopen(session, visit.login.business_id, channel_id)
        await messaging.ask_for_templates(session, visit.login.business_id, channel_id)


def _transaction(visit: MemberVisit) -> Any:
    return visit.context.database.transaction(visit.login.business_id, user_id=visit.login.user_id)


def _require_address(url: str, allowed: tuple[str, ...]) -> None:
    """Raise BadInputError unless the operator lets owners connect a bridge there.

    What a bridge's address leads to is called with what customers wrote, and its files are shown.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
        origin = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        usable, origin = False, ""
    if not usable or len(url) > LONGEST_URL or parts.query or parts.fragment:
        raise BadInputError("address", "The address is none that a bridge can have.")
    if ANY_ADDRESS not in allowed and origin not in allowed:
        raise BadInputError("not_allowed", "The operator does not allow bridges there.")
