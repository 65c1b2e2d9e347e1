"""The send API of a Baileys-style WhatsApp bridge, as bridges in the field offer it.

It ignores `idempotencyKey`, as they do: sending twice sends twice.
"""

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.behaviours import ProviderName
from simulator.bridge_connection import DISCONNECTED, WAITS_FOR_CODE
from simulator.envelopes import DELIVERY_ACK, own_echo, receipt, sent_content
from simulator.errors import BadInputError
from simulator.exchange import Provider, Received, Reply, exchange
from simulator.jsontypes import Json
from simulator.phone import Direction, PhoneMessage, State, new_message_id
from simulator.world import world_of

MEDIA_KINDS = ("image", "video", "audio", "document")
_TEXT = "text"
# A bridge reports how long its own send took; this one takes no time worth measuring.
_SEND_DURATION_MS = 1


def _door(request: Request) -> Reply | None:
    given = request.headers.get("x-internal-secret", "")
    wanted = world_of(request).settings.bridge_secret
    if hmac.compare_digest(given.encode(), wanted.encode()):
        return None
    return Reply(401, {"error": "Unauthorized"}, accepted=False)


def _refusal(status: int) -> Json:
    match status:
        case 500:
            return {"error": "send_failed", "message": "simulated failure"}
        case 503:
            return {"error": "WhatsApp not connected"}
        case 429:
            return {"error": "rate_limited"}
        case _:
            return {"error": f"simulated status {status}"}


def _invalid(sentence: str) -> Reply:
    return Reply(400, {"error": sentence}, accepted=False)


BRIDGE = Provider(name=ProviderName.BRIDGE, door=_door, refusal=_refusal, invalid=_invalid)


async def send(request: Request) -> Response:
    """Send a text or a file to one customer."""
    return await exchange(request, BRIDGE, _accept_send)


async def send_typing(request: Request) -> Response:
    """Show "typing…" on the customer's phone."""
    return await exchange(request, BRIDGE, _accept_typing)


async def resolve_jid(request: Request) -> Response:
    """Tell the phone number behind an address, where WhatsApp would."""
    return await exchange(request, BRIDGE, _accept_resolve)


async def status(request: Request) -> Response:
    """Tell whether a tenant's WhatsApp is connected."""
    return await exchange(request, BRIDGE, _accept_status)


async def health(_request: Request) -> Response:
    """Say that the bridge's process lives; needs no secret and is no call."""
    return JSONResponse({"status": "ok"})


ROUTES = [
    Route("/send", send, methods=["POST"]),
    Route("/sendTyping", send_typing, methods=["POST"]),
    Route("/internal/resolve-jid", resolve_jid, methods=["POST"]),
    Route("/whatsapp/{tenant}/status", status),
    Route("/health", health),
]


def _accept_send(received: Received) -> Reply:
    body = received.body
    _check_send(body)
    if not received.world.connection.is_up:
        return Reply(503, _refusal(503), accepted=False)
    message_id, now = new_message_id(), datetime.now(UTC)
    phones = received.world.phones
    phones.show(
        PhoneMessage(
            id=message_id,
            chat=phones.chat_of(body["to"]),
            direction=Direction.RECEIVED,
            kind="voice" if body["type"] == "audio" else body["type"],
            text=_words(body),
            at=now,
            state=State.RECEIVED,
            url=_stored_media_url(received),
        )
    )
    answer = {"ok": True, "messageId": message_id, "status": "sent", "duration_ms": _SEND_DURATION_MS}
    return Reply(200, answer, before=_report(received, message_id, now))


def _report(received: Received, message_id: str, now: datetime) -> Callable[[], Awaitable[None]] | None:
    """Post the echo, then the receipt, as a connected phone makes a bridge do."""
    world, tenant, jid = received.world, received.body["tenantId"], received.body["to"]
    envelopes = []
    if world.echo:
        content = sent_content(received.body)
        envelopes.append(own_echo(tenant, jid, message_id=message_id, at=now, content=content))
    if world.receipts:
        delivered = receipt(tenant, jid, message_id=message_id, status=DELIVERY_ACK)
        envelopes += [delivered] * (2 if received.behaviour.duplicate_status else 1)
    if received.behaviour.status_first:
        return partial(world.webhooks.deliver, envelopes)
    if envelopes:
        world.webhooks.deliver_in_order(envelopes)
    return None


def _check_send(body: Json) -> None:
    for name in ("to", "type", "tenantId"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise BadInputError(f"Missing required field: {name}")
    if "@" not in body["to"]:
        raise BadInputError("Field to is not a WhatsApp address")
    if body["type"] == _TEXT:
        if not isinstance(body.get("text"), str) or not body["text"]:
            raise BadInputError("Missing required field: text")
    elif body["type"] not in MEDIA_KINDS:
        raise BadInputError(f"Unknown type {body['type']!r}")
    elif not isinstance(body.get("media"), dict) or not isinstance(body["media"].get("data"), str):
        raise BadInputError("Missing required field: media")


def _words(body: Json) -> str:
    if body["type"] == _TEXT:
        return str(body["text"])
    return str(body.get("caption") or body["media"].get("filename") or "")


def _stored_media_url(received: Received) -> str | None:
    if received.body["type"] == _TEXT:
        return None
    media = received.body["media"]
    try:
        data = base64.b64decode(media["data"], validate=True)
    except binascii.Error as error:
        raise BadInputError("Field media.data is not base64") from error
    mimetype = str(media.get("mimetype"))
    return f"/sim/media/{received.world.media.add(data, mimetype).name}"


def _accept_typing(received: Received) -> Reply:
    jid = received.body.get("jid")
    if not isinstance(jid, str) or not jid:
        raise BadInputError("Missing required field: jid")
    phones = received.world.phones
    phones.show_typing(phones.chat_of(jid), typing=received.body.get("typing", True) is True)
    return Reply(200, {"ok": True})


def _accept_resolve(received: Received) -> Reply:
    jid = received.body.get("jid")
    if not isinstance(jid, str) or not jid:
        raise BadInputError("Missing required field: jid")
    participant = received.body.get("participant") or ""
    phones = received.world.phones
    candidates = (
        ("direct", jid),
        ("participant", str(participant)),
        ("whatsapp_query", phones.phone_jid_of(jid) or ""),
    )
    found = next(((source, address) for source, address in candidates if _is_phone(address)), None)
    phone = f"+{found[1].partition('@')[0].partition(':')[0]}" if found else None
    push_name = received.body.get("pushName") or phones.name_of(jid)
    source = found[0] if found else "unresolvable"
    return Reply(200, {"phone_e164": phone, "source": source, "push_name": push_name})


def _is_phone(address: str) -> bool:
    return address.endswith(("@s.whatsapp.net", "@c.us"))


def _accept_status(received: Received) -> Reply:
    connection = received.world.connection
    known = received.request.path_params["tenant"] == received.world.settings.tenant
    is_up, waits = known and connection.is_up, known and connection.state == WAITS_FOR_CODE
    state = "connecting" if connection.state == DISCONNECTED else connection.state
    return Reply(
        200,
        {
            "connected": is_up,
            "canSend": is_up,
            "authPaired": known and not waits,
            "hasQR": waits,
            "hasSession": known,
            "hasSocket": known,
            "pushName": "Simulated business" if known else None,
            "reconnectAttempts": 0,
            "sessionState": state if known else "not_started",
        },
    )
