"""What people do in a conversation: write, send again, pause and resume the assistant, decide on a draft."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, time, timedelta
from typing import TypeAlias
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from server import clock
from server.db import Session
from server.domains import messaging
from server.domains.messaging.pages import has_conversation, mark_read
from server.errors import BadInputError
from server.ports import EventKind
from server.web.context import MemberVisit
from server.web.rendering import problem

Deed: TypeAlias = Callable[[Session, MemberVisit, UUID], Awaitable[bool]]

PAUSES = {"30m": timedelta(minutes=30), "2h": timedelta(hours=2)}
MORNING = time(8)
MOST_VARIABLES, MOST_BUTTONS = 20, 10
# What is said of a refusal, by its stable code; anything else is said in general words.
SAID = {
    "text_missing": "compose.error.text_missing",
    "text_too_long": "compose.error.text_too_long",
    "text_invalid": "compose.error.text_invalid",
    "message_unknown": "compose.error.message_unknown",
    "template_invalid": "compose.error.template_invalid",
    "media_missing": "compose.error.media_missing",
    "caption_invalid": "compose.error.caption_invalid",
    "opted_out": "compose.error.opted_out",
    "too_late": "compose.error.too_late",
    "key_reused": "compose.error.key_reused",
    "too_early": "compose.error.too_early",
}


async def send(request: Request, visit: MemberVisit) -> Response:
    """Send what a member wrote, or a reaction, or a template."""
    return await _do(request, visit, _send)


async def settle(request: Request, visit: MemberVisit) -> Response:
    """Send a message again, or note that it went out."""
    return await _do(request, visit, _settle)


async def change_assistant(request: Request, visit: MemberVisit) -> Response:
    """Pause or resume the assistant in one conversation, or have it only suggest there."""
    return await _do(request, visit, _change_assistant)


async def decide(request: Request, visit: MemberVisit) -> Response:
    """Send what the assistant suggests, edited or not, or put it aside."""
    return await _do(request, visit, _decide)


async def see(request: Request, visit: MemberVisit) -> Response:
    """Note that a member has seen what the conversation holds."""
    return await _do(request, visit, _see)


async def _do(request: Request, visit: MemberVisit, deed: Deed) -> Response:
    """Do a deed in one transaction of the member; answer a script in JSON, a form with the page."""
    conversation_id: UUID = request.path_params["conversation_id"]
    is_script = "application/json" in request.headers.get("accept", "")
    try:
        async with visit.context.database.transaction(
            visit.login.business_id, user_id=visit.login.user_id
        ) as session:
            if not await has_conversation(session, conversation_id):
                return problem(visit, 404, "missing")
            is_done = await deed(session, visit, conversation_id)
        if not is_done:
            return _refuse(visit, "too_late", is_script=is_script)
    except BadInputError as error:
        return _refuse(visit, error.code, is_script=is_script)
    return Response(status_code=204) if is_script else RedirectResponse(f"/inbox/{conversation_id}", 303)


def _refuse(visit: MemberVisit, code: str, *, is_script: bool) -> Response:
    status = 409 if code == "too_late" else 422
    if is_script:
        return JSONResponse({"error": visit.words(SAID.get(code, "compose.error.other"))}, status)
    return problem(visit, 422, "not_sent")


async def _send(session: Session, visit: MemberVisit, conversation_id: UUID) -> bool:
    form = visit.form
    emoji, template, media_id = form.get("emoji"), form.get("template"), _id(form.get("media_id"))
    kind = EventKind.TEXT if media_id is None else EventKind.DOCUMENT
    letter = messaging.Letter(
        business_id=visit.login.business_id,
        conversation_id=conversation_id,
        client_key=form.get("client_key", "")[:200] or str(uuid4()),
        text=emoji if emoji is not None else form.get("text", ""),
        kind=kind if emoji is None else EventKind.REACTION,
        media_id=media_id,
        user_id=visit.login.user_id,
        user_name=visit.login.user_name,
        quotes=_id(form.get("quotes")),
        reacts_to=None if emoji is None else _id(form.get("reacts_to")),
    )
    if template:
        letter = await messaging.fill_template(session, letter, _id(template), _filling(form))
    await messaging.ask_to_send(session, letter)
    return True


async def _settle(session: Session, visit: MemberVisit, _conversation_id: UUID) -> bool:
    message_id = _id(visit.form.get("message"))
    if message_id is None:
        return False
    business_id = visit.login.business_id
    match visit.form.get("do"):
        case "again":
            return await messaging.send_again(session, business_id, message_id)
        case "anyway":
            return await messaging.send_again(session, business_id, message_id, though_unknown=True)
        case "sent":
            return await messaging.mark_sent(session, business_id, message_id)
        case _:
            return False


async def _change_assistant(session: Session, visit: MemberVisit, conversation_id: UUID) -> bool:
    business_id, wanted = visit.login.business_id, visit.form.get("for", "")
    match wanted:
        case "resume":
            return await messaging.resume(session, business_id, conversation_id)
        case "suggest" | "answer":
            return await messaging.choose_approval(
                session, business_id, conversation_id, needs_approval=wanted == "suggest"
            )
        case "30m" | "2h" | "morning" | "off":
            until = _until(wanted, clock.utc_now(), ZoneInfo(visit.login.time_zone))
            return await messaging.pause(
                session, business_id, conversation_id, until=until, user_id=visit.login.user_id
            )
        case _:
            return False


async def _decide(session: Session, visit: MemberVisit, _conversation_id: UUID) -> bool:
    suggestion_id = _id(visit.form.get("suggestion"))
    if suggestion_id is None:
        return False
    login = visit.login
    decider = messaging.Decider(login.business_id, login.user_id, login.user_name)
    if visit.form.get("do") == "discard":
        await messaging.discard(session, decider, suggestion_id)
        return True
    words = visit.form.get("text", "").strip() or None
    return await messaging.approve(session, decider, suggestion_id, words=words) is not None


async def _see(session: Session, visit: MemberVisit, conversation_id: UUID) -> bool:
    await mark_read(session, visit.login.business_id, conversation_id)
    return True


def _until(wanted: str, now: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the moment of a pause; None where it lasts until somebody resumes."""
    if wanted == "off":
        return None
    if wanted == "morning":
        tomorrow = now.astimezone(zone).date() + timedelta(days=1)
        return datetime.combine(tomorrow, MORNING, zone)
    return now + PAUSES[wanted]


def _filling(form: Mapping[str, str]) -> messaging.Filling:
    names = (f"var{place}" for place in range(1, MOST_VARIABLES + 1))
    buttons = {place: form.get(f"button{place}", "") for place in range(MOST_BUTTONS)}
    return messaging.Filling([form[name] for name in names if name in form], form.get("header"), buttons)


def _id(told: str | None) -> UUID | None:
    try:
        return UUID(told) if told else None
    except ValueError:
        return None
