"""What the phone's page, and tests, ask of the phone, under /sim/phone; see `docs/simulator.md`."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from simulator import cloud_envelopes
from simulator.cloud_envelopes import Person
from simulator.deeds import customer_says, owner_says
from simulator.errors import BadInputError
from simulator.jsontypes import read_object
from simulator.lines import line_to
from simulator.phone import Phones
from simulator.phone_orders import parse_customer, parse_order
from simulator.world import world_of

KEEP_ALIVE_S = 15


async def send(request: Request) -> Response:
    """Write as a customer; answers when the webhook has answered the first try of each message."""
    order = parse_order(await read_object(request))
    return JSONResponse(await customer_says(world_of(request), order, base_url=str(request.base_url)))


async def owner(request: Request) -> Response:
    """Write as the owner on the business's own phone, or only read there what the customer wrote."""
    world, body = world_of(request), await read_object(request)
    if body.get("kind") == "read":
        world.phones.mark_read(parse_customer(body).chat)
        return JSONResponse({"ids": [], "webhook_status": None})
    return JSONResponse(await owner_says(world, parse_order(body), base_url=str(request.base_url)))


async def look(request: Request) -> Response:
    """Look at the phone as the customer: what the business sent is read, and reported so."""
    world, customer = world_of(request), parse_customer(await read_object(request))
    unread = world.phones.look(customer.chat)
    if unread:
        line = line_to(world, customer)
        line.poster.deliver_in_order(line.read(unread))
    return JSONResponse({"read": [message.id for message in unread]})


async def preference(request: Request) -> Response:
    """Stop the business's marketing in WhatsApp's own settings, or let it resume."""
    world, body = world_of(request), await read_object(request)
    person, value = parse_customer(body), body.get("value", "stop")
    if not isinstance(person, Person):
        raise BadInputError("preference is Meta's alone: use channel cloud.")
    if value not in ("stop", "resume"):
        raise BadInputError('value must be "stop" or "resume".')
    told = cloud_envelopes.preference(world.cloud.connection, person, value=str(value), at=datetime.now(UTC))
    return JSONResponse({"webhook_status": await world.cloud.webhooks.post(told)})


async def messages(request: Request) -> Response:
    """List one chat's bubbles, oldest first."""
    chat = request.query_params.get("chat")
    if not chat:
        raise BadInputError("Say which chat: ?chat=972501234567@s.whatsapp.net")
    return JSONResponse([message.as_json() for message in world_of(request).phones.messages(chat)])


async def events(request: Request) -> Response:
    """Stream what happens on every phone: message, change, state, typing and reset."""
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(
        _events(world_of(request).phones), media_type="text/event-stream", headers=headers
    )


ROUTES = [
    Route("/sim/phone/send", send, methods=["POST"]),
    Route("/sim/phone/owner", owner, methods=["POST"]),
    Route("/sim/phone/look", look, methods=["POST"]),
    Route("/sim/phone/preference", preference, methods=["POST"]),
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
