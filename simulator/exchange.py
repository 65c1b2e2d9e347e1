"""One call to a provider, from its arrival to its answer or the lack of one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from simulator.behaviours import Behaviour, ProviderName
from simulator.calls import Call
from simulator.errors import BadInputError
from simulator.jsontypes import Json, parse_object, shortened
from simulator.server import NoAnswer
from simulator.world import World, world_of


@dataclass(frozen=True)
class Reply:
    """What a provider says; `chunks`, where given, are sent as server-sent events instead of `body`.

    `before` is awaited before the answer goes out, whatever becomes of it.
    """

    status: int
    body: Json
    accepted: bool = True
    chunks: tuple[bytes, ...] = ()
    before: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Received:
    """A call that passed the door, with the behaviour that was waiting for it; `form` where it sent one."""

    world: World
    request: Request
    body: Json
    behaviour: Behaviour
    form: FormData | None = None


# What a webhook is known by; other headers hold keys.
TOLD_HEADERS = ("webhook-", "x-prosaas-")
Accept = Callable[[Received], Reply]


@dataclass(frozen=True)
class Provider:
    """What the calls of one provider have in common.

    `door` returns the refusal of a caller without the right key, `refusal` the body that goes with a
    status, `invalid` the reply to a body that is not understood, `coded` the refusal that goes with a
    code, for a provider that has some.
    """

    name: ProviderName
    door: Callable[[Request], Reply | None]
    refusal: Callable[[int], Json]
    invalid: Callable[[str], Reply]
    coded: Callable[[int], Json] | None = None


async def exchange(request: Request, provider: Provider, accept: Accept) -> Response:
    """Log the call when it comes in, let the provider act, then answer as the behaviour says."""
    world = world_of(request)
    raw = await request.body()
    refused = provider.door(request)
    behaviour = Behaviour() if refused else world.behaviours.take(provider.name, request.url.path)
    call = world.calls.add(provider.name, _request_json(request, raw))
    call.behaviour = behaviour.as_json()
    form = await request.form() if _is_form(request) else None
    reply = refused or _act(
        provider, accept, world=world, request=request, raw=raw, form=form, behaviour=behaviour
    )
    if form:
        await form.close()
    call.accepted = reply.accepted
    if reply.before:
        await reply.before()
    return await _answer(request, call, reply=reply, behaviour=behaviour)


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")


def _act(
    provider: Provider,
    accept: Accept,
    *,
    world: World,
    request: Request,
    raw: bytes,
    form: FormData | None,
    behaviour: Behaviour,
) -> Reply:
    if behaviour.status is not None and behaviour.refuses:
        code = behaviour.error_code
        refusal = provider.refusal(behaviour.status)
        body = refusal if code is None or provider.coded is None else provider.coded(code)
        return Reply(behaviour.status, body, accepted=False)
    try:
        body = parse_object(raw) if raw and form is None else {}
        reply = accept(Received(world, request, body, behaviour, form))
    except BadInputError as error:
        return provider.invalid(str(error))
    if behaviour.status is None or not reply.accepted:
        return reply
    return replace(reply, status=behaviour.status)


async def _answer(request: Request, call: Call, *, reply: Reply, behaviour: Behaviour) -> Response:
    released = world_of(request).released
    if behaviour.delay_ms and await _client_left(request, released, timeout_s=behaviour.delay_ms / 1000):
        return NoAnswer()
    if behaviour.hang:
        await _client_left(request, released, timeout_s=None)
        return NoAnswer()
    if behaviour.drop_answer:
        return NoAnswer()
    headers = {} if behaviour.retry_after_s is None else {"Retry-After": str(behaviour.retry_after_s)}
    call.answer = {"status": reply.status, "headers": headers, "body": shortened(reply.body)}
    if reply.chunks:
        return StreamingResponse(
            _stream(reply.chunks), reply.status, headers=headers, media_type="text/event-stream"
        )
    return JSONResponse(reply.body, reply.status, headers=headers)


async def _stream(chunks: tuple[bytes, ...]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def _client_left(request: Request, released: asyncio.Event, *, timeout_s: float | None) -> bool:
    """Wait for the client to leave, a reset, or the time; return whether the client left."""
    leaving = asyncio.ensure_future(request.receive())
    releasing = asyncio.ensure_future(released.wait())
    try:
        await asyncio.wait({leaving, releasing}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return leaving.done()
    finally:
        leaving.cancel()
        releasing.cancel()


def _request_json(request: Request, raw: bytes) -> Json:
    try:
        body = shortened(parse_object(raw)) if raw else None
    except BadInputError:
        body = None
    told = {"method": request.method, "path": request.url.path, "body": body}
    named = {name: value for name, value in request.headers.items() if name.startswith(TOLD_HEADERS)}
    return told | ({"headers": named} if named else {})
