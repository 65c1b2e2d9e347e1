"""The pages of webhooks: where events go, what became of each, and what an owner does about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server import clock
from server.db import Session
from server.domains import integrations
from server.domains.integrations import EVENTS
from server.errors import BadInputError
from server.web.context import MemberVisit
from server.web.rendering import page, problem

PATH = "/settings/webhooks"
LOG_LINES = 50
# How far back "what failed" goes, by the words of the form.
SPANS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "month": timedelta(days=31)}
WRONG = {
    "bad_url": "webhooks.wrong.url",
    "private_url": "webhooks.wrong.private",
    "no_events": "webhooks.wrong.events",
    "too_many": "webhooks.wrong.many",
}
SAID = {
    "changed": "webhooks.said.changed",
    "not_found": "webhooks.said.not_found",
    "tested": "webhooks.said.tested",
    "test_off": "webhooks.said.test_off",
    "on": "webhooks.said.on",
    "off": "webhooks.said.off",
    "again": "webhooks.said.again",
    "again_none": "webhooks.said.again_none",
    "failed_again": "webhooks.said.failed_again",
    "deleted": "webhooks.said.deleted",
}
WORDS = {
    "event": {
        "whatsapp_incoming": "webhooks.event.whatsapp_incoming",
        "whatsapp_outgoing": "webhooks.event.whatsapp_outgoing",
        "message.status": "webhooks.event.message.status",
        "conversation.needs_person": "webhooks.event.conversation.needs_person",
        "lead.created": "webhooks.event.lead.created",
        "lead.status_changed": "webhooks.event.lead.status_changed",
        "contact.merged": "webhooks.event.contact.merged",
    },
    "state": {
        "on": "webhooks.state.on",
        "off": "webhooks.state.off",
        "gone": "webhooks.state.gone",
        "failing": "webhooks.state.failing",
    },
    "why": {
        "gone": "webhooks.why.gone",
        "failing": "webhooks.why.failing",
    },
    "delivery": {
        "waiting": "webhooks.delivery.waiting",
        "delivered": "webhooks.delivery.delivered",
        "failed": "webhooks.delivery.failed",
    },
    "since": {
        "hour": "webhooks.since.hour",
        "day": "webhooks.since.day",
        "month": "webhooks.since.month",
    },
}


@dataclass(frozen=True)
class Shown:
    """What a page says beside what there is: a secret this once, what was done, what was wrong."""

    secret: str | None = None
    said: str = ""
    wrong: str = ""
    status: int = 200


NOTHING = Shown()
Deed: TypeAlias = Callable[[Session, MemberVisit, UUID], Awaitable[str]]


async def show_webhooks(request: Request, visit: MemberVisit) -> Response:
    """List the business's endpoints, with a form for another one."""
    return await _list(visit, Shown(said=_said(request)))


async def add_webhook(_: Request, visit: MemberVisit) -> Response:
    """Make an endpoint, and show its secret this once."""
    form, login = visit.form, visit.login
    told = {name: form.get(name, "") for name in ("url", "description")}
    try:
        is_found = await _is_found(visit, told["url"])
        async with visit.context.database.transaction(login.business_id, user_id=login.user_id) as session:
            endpoint_id, secret = await integrations.add_endpoint(
                session, login.business_id, events=_events(form), cipher=visit.context.cipher, **told
            )
    except BadInputError as wrong:
        return await _list(visit, Shown(wrong=WRONG[wrong.code], status=400))
    return await _one(visit, endpoint_id, Shown(secret, said="" if is_found else "not_found"))


async def show_webhook(request: Request, visit: MemberVisit) -> Response:
    """Show one endpoint with the log of what it was told."""
    return await _one(visit, request.path_params["endpoint_id"], Shown(said=_said(request)))


async def rotate_webhook(request: Request, visit: MemberVisit) -> Response:
    """Give an endpoint a new secret, and show it this once."""
    endpoint_id: UUID = request.path_params["endpoint_id"]
    async with visit.context.database.transaction(visit.login.business_id) as session:
        secret = await integrations.rotate_secret(session, endpoint_id, cipher=visit.context.cipher)
    return await _one(visit, endpoint_id, Shown(secret))


async def do_to_webhook(request: Request, visit: MemberVisit) -> Response:
    """Do what a button says, and say what came of it."""
    endpoint_id, deed = request.path_params["endpoint_id"], DEEDS.get(request.path_params["deed"])
    if deed is None:
        return problem(visit, 404, "webhook")
    try:
        is_found = await _is_found(visit, await _address(visit, endpoint_id, request.path_params["deed"]))
        async with visit.context.database.transaction(visit.login.business_id) as session:
            if not await integrations.has_endpoint(session, endpoint_id):
                return problem(visit, 404, "webhook")
            said = await deed(session, visit, endpoint_id)
    except BadInputError as wrong:
        return await _one(visit, endpoint_id, Shown(wrong=WRONG[wrong.code], status=400))
    place = PATH if said == "deleted" else f"{PATH}/{endpoint_id}"
    return RedirectResponse(f"{place}?said={said if is_found else 'not_found'}", 303)


async def _is_found(visit: MemberVisit, url: str) -> bool:
    """Tell whether an address is found just now, or none is asked for; raise BadInputError for a bad one."""
    poster = visit.context.outside.webhooks
    return not url or poster is None or await integrations.look_at(poster, url)


async def _address(visit: MemberVisit, endpoint_id: UUID, deed: str) -> str:
    """Return the address that a deed is about to lead to, nothing where it leads nowhere."""
    if deed == "change":
        return visit.form.get("url", "")
    if deed != "test":
        return ""
    async with visit.context.database.transaction(visit.login.business_id) as session:
        endpoint = await integrations.find_endpoint(session, visit.login.business_id, endpoint_id)
    return endpoint.url if endpoint else ""


async def _change(session: Session, visit: MemberVisit, endpoint_id: UUID) -> str:
    form = visit.form
    await integrations.change_endpoint(
        session,
        endpoint_id,
        url=form.get("url", ""),
        events=_events(form),
        description=form.get("description", ""),
    )
    return "changed"


async def _test(session: Session, visit: MemberVisit, endpoint_id: UUID) -> str:
    sent = await integrations.send_test(session, visit.login.business_id, endpoint_id)
    return "test_off" if sent is None else "tested"


async def _on(session: Session, _: MemberVisit, endpoint_id: UUID) -> str:
    await integrations.turn_on(session, endpoint_id)
    return "on"


async def _off(session: Session, _: MemberVisit, endpoint_id: UUID) -> str:
    await integrations.turn_off(session, endpoint_id)
    return "off"


async def _delete(session: Session, _: MemberVisit, endpoint_id: UUID) -> str:
    await integrations.delete_endpoint(session, endpoint_id)
    return "deleted"


async def _again(session: Session, visit: MemberVisit, endpoint_id: UUID) -> str:
    delivery_id = _uuid(visit.form.get("delivery", ""))
    is_told = delivery_id is not None and await integrations.replay(
        session, visit.login.business_id, endpoint_id, delivery_id
    )
    return "again" if is_told else "again_none"


async def _failed_again(session: Session, visit: MemberVisit, endpoint_id: UUID) -> str:
    since = clock.utc_now() - SPANS.get(visit.form.get("since", ""), SPANS["day"])
    told = await integrations.replay_failed(session, visit.login.business_id, endpoint_id, since)
    return "failed_again" if told else "again_none"


DEEDS: Mapping[str, Deed] = {
    "change": _change,
    "test": _test,
    "on": _on,
    "off": _off,
    "delete": _delete,
    "again": _again,
    "failed-again": _failed_again,
}


async def _list(visit: MemberVisit, shown: Shown = NOTHING) -> Response:
    async with visit.context.database.transaction(visit.login.business_id) as session:
        endpoints = await integrations.list_endpoints(session, visit.login.business_id)
    values = _values(visit, shown) | {"endpoints": endpoints, "form": visit.form}
    return page(visit, "webhooks.html", status=shown.status, path=PATH, **values)


async def _one(visit: MemberVisit, endpoint_id: UUID, shown: Shown = NOTHING) -> Response:
    async with visit.context.database.transaction(visit.login.business_id) as session:
        endpoint = await integrations.find_endpoint(session, visit.login.business_id, endpoint_id)
        log = await integrations.read_log(session, endpoint_id, LOG_LINES) if endpoint else []
    if endpoint is None:
        return problem(visit, 404, "webhook")
    values = _values(visit, shown) | {"endpoint": endpoint, "log": log, "secret": shown.secret}
    return page(visit, "webhook.html", status=shown.status, path=f"{PATH}/{endpoint_id}", **values)


def _values(visit: MemberVisit, shown: Shown) -> dict[str, Any]:
    return {
        "events": EVENTS,
        "names": WORDS,
        "said": visit.words(SAID[shown.said]) if shown.said else "",
        "wrong": visit.words(shown.wrong) if shown.wrong else "",
        "at": _clock_of(visit),
    }


def _clock_of(visit: MemberVisit) -> Callable[[datetime], str]:
    zone = ZoneInfo(visit.login.time_zone)

    def at(moment: datetime) -> str:
        return moment.astimezone(UTC).astimezone(zone).strftime("%d.%m.%Y %H:%M:%S")

    return at


def _said(request: Request) -> str:
    said = request.query_params.get("said", "")
    return said if said in SAID else ""


def _events(form: Mapping[str, str]) -> list[str]:
    return [name for name in EVENTS if f"event.{name}" in form]


def _uuid(told: str) -> UUID | None:
    try:
        return UUID(told)
    except ValueError:
        return None
