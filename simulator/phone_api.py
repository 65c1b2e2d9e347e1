"""What the phone's page, and tests, ask of the phone, under /sim/phone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from simulator import envelopes
from simulator.behaviours import FIRST_REFUSAL
from simulator.errors import BadInputError
from simulator.jsontypes import Json, read_object
from simulator.media import VOICE_NOTE_SECONDS, VOICE_NOTE_TYPE, door_photo, voice_note
from simulator.phone import Direction, PhoneMessage, Phones, State, new_message_id
from simulator.phone_orders import Kind, SendOrder, parse_send
from simulator.webhooks import is_worth_retrying
from simulator.world import World, world_of

# The square in front of Tel Aviv's city hall, near enough.
PLACE = (32.08, 34.78)
KEEP_ALIVE_S = 15


async def send(request: Request) -> Response:
    """Write as a customer; answers when the webhook has answered the first try of each message."""
    world, order = world_of(request), parse_send(await read_object(request))
    world.phones.remember(order.identity)
    written = _written(world, order, str(request.base_url))
    for message, _ in written:
        world.phones.show(message)
    posted = reversed(written) if order.is_reversed else written
    statuses = [await _post(world, message, envelope, order.copies) for message, envelope in posted]
    worst = None if None in statuses else max(status for status in statuses if status is not None)
    return JSONResponse({"ids": [message.id for message, _ in written], "webhook_status": worst})


async def messages(request: Request) -> Response:
    """List one chat's bubbles, oldest first."""
    chat = request.query_params.get("chat")
    if not chat:
        raise BadInputError("Say which chat: ?chat=972501234567@s.whatsapp.net")
    return JSONResponse([message.as_json() for message in world_of(request).phones.messages(chat)])


async def events(request: Request) -> Response:
    """Stream what happens on every phone: message, state, typing and reset."""
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(
        _events(world_of(request).phones), media_type="text/event-stream", headers=headers
    )


ROUTES = [
    Route("/sim/phone/send", send, methods=["POST"]),
    Route("/sim/phone/messages", messages),
    Route("/sim/phone/events", events),
]


async def _events(phones: Phones) -> AsyncIterator[bytes]:
    with phones.watched() as subscriber:
        yield b": open\n\n"
        while True:
            try:
                event = await asyncio.wait_for(subscriber.events.get(), KEEP_ALIVE_S)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if event is None:
                return
            name, data = event
            yield b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


def _written(world: World, order: SendOrder, base_url: str) -> list[tuple[PhoneMessage, Json]]:
    """Pair each bubble with its envelope, in the order of writing, a second apart as WhatsApp counts."""
    now, count = datetime.now(UTC), len(order.texts)
    return [
        _message(world, order, text=text, at=now - timedelta(seconds=count - 1 - place), base_url=base_url)
        for place, text in enumerate(order.texts)
    ]


def _message(
    world: World, order: SendOrder, *, text: str, at: datetime, base_url: str
) -> tuple[PhoneMessage, Json]:
    message_id = order.provider_id or new_message_id()
    content, url = _content(world, order, text=text, base_url=base_url)
    bubble = PhoneMessage(
        id=message_id,
        chat=order.identity.jid,
        direction=Direction.SENT,
        kind=order.kind,
        text=text,
        at=at,
        state=State.SENDING,
        url=url,
        note="twice" if order.copies > 1 else "reordered" if order.is_reversed else None,
    )
    tenant = world.settings.tenant
    return bubble, envelopes.customer_message(
        tenant, order.identity, message_id=message_id, at=at, content=content
    )


def _content(world: World, order: SendOrder, *, text: str, base_url: str) -> tuple[Json, str | None]:
    match order.kind:
        case Kind.TEXT:
            return envelopes.text_content(text), None
        case Kind.LOCATION:
            return envelopes.location_content(*PLACE), None
        case Kind.IMAGE:
            data, mimetype = door_photo(), "image/png"
            if order.upload:
                data, mimetype = order.upload.data, order.upload.mimetype
            media = _stored(world, data, mimetype, base_url=base_url)
            return envelopes.image_content(media, text), media.url
        case Kind.VOICE:
            media = _stored(world, voice_note(), VOICE_NOTE_TYPE, base_url=base_url)
            return envelopes.voice_content(media), media.url


def _stored(world: World, data: bytes, mimetype: str, *, base_url: str) -> envelopes.Media:
    stored = world.media.add(data, mimetype)
    url = f"{base_url}sim/media/{stored.name}"
    return envelopes.Media(url, mimetype, len(data), seconds=VOICE_NOTE_SECONDS)


async def _post(world: World, message: PhoneMessage, envelope: Json, copies: int) -> int | None:
    """Post every copy at once and return the status of the worst off; failures go on in the background."""

    def settle(status: int | None) -> None:
        delivered = status is not None and status < FIRST_REFUSAL
        world.phones.advance(message, State.DELIVERED if delivered else State.FAILED)

    statuses = await asyncio.gather(*(world.webhooks.post(envelope) for _ in range(copies)))
    for status in statuses:
        if is_worth_retrying(status):
            world.phones.advance(message, State.RETRYING)
            world.webhooks.retry_later(envelope, settle)
        else:
            settle(status)
    return max(statuses, key=lambda status: status or 600)
