"""A server that speaks OpenAI's chat completions, with answers a test can expect."""

import hashlib
import re
from datetime import UTC, datetime
from http import HTTPStatus

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.behaviours import ProviderName
from simulator.errors import BadInputError
from simulator.exchange import Provider, Received, Reply, exchange
from simulator.jsontypes import Json, read_object
from simulator.replies import all_texts, reply_to, rough_tokens
from simulator.script import parse_script
from simulator.world import world_of

MODELS = ("simulated-small", "simulated-large")
_WORDS_PER_DELTA = 3
_ERROR_TYPES = {
    401: "authentication_error",
    429: "rate_limit_exceeded",
    500: "server_error",
    503: "server_error",
}


def _door(request: Request) -> Reply | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return None
    return Reply(401, _refusal(401), accepted=False)


def _refusal(status: int) -> Json:
    sentence = (
        "You didn't provide an API key."
        if status == HTTPStatus.UNAUTHORIZED
        else f"Simulated status {status}."
    )
    return _error(sentence, _ERROR_TYPES.get(status, "api_error"))


def _error(sentence: str, kind: str) -> Json:
    return {"error": {"message": sentence, "type": kind, "param": None, "code": kind}}


def _invalid(sentence: str) -> Reply:
    return Reply(400, _error(sentence, "invalid_request_error"), accepted=False)


OPENAI = Provider(name=ProviderName.OPENAI, door=_door, refusal=_refusal, invalid=_invalid)


async def chat_completions(request: Request) -> Response:
    """Answer a conversation, whole or as a stream of deltas."""
    return await exchange(request, OPENAI, _accept_chat)


async def models(request: Request) -> Response:
    """List the models there are; every other name is answered as well."""
    return await exchange(request, OPENAI, _accept_models)


ROUTES = [
    Route("/v1/chat/completions", chat_completions, methods=["POST"]),
    Route("/v1/models", models),
]


async def script(request: Request) -> Response:
    """Say what the model answers next, in words or by calling tools."""
    lines = parse_script(await read_object(request))
    world_of(request).script.add(lines)
    return JSONResponse({"ok": True, "lines": len(lines)})


CONTROL = [Route("/sim/openai/script", script, methods=["POST"])]


def _accept_models(_received: Received) -> Reply:
    listed = [{"id": name, "object": "model", "created": 0, "owned_by": "simulator"} for name in MODELS]
    return Reply(200, {"object": "list", "data": listed})


def _accept_chat(received: Received) -> Reply:
    body = received.body
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(item, dict) for item in messages):
        raise BadInputError("messages must be a list of at least one message.")
    if not isinstance(body.get("model"), str):
        raise BadInputError("model must be a string.")
    line = received.world.script.take(messages)
    answer = reply_to(messages) if line is None else line.text or ""
    completion = _completion(body, answer)
    if line is not None and line.calls:
        completion["choices"][0] |= {"finish_reason": "tool_calls", "message": line.message()}
    chunks = _stream(completion, answer, _wants_usage(body)) if body.get("stream") is True else ()
    return Reply(200, completion, chunks=chunks)


def _completion(body: Json, answer: str) -> Json:
    asked, said = rough_tokens(all_texts(body["messages"])), rough_tokens([answer])
    digest = hashlib.sha256(orjson.dumps(body["messages"])).hexdigest()
    return {
        "id": f"chatcmpl-{digest[:24]}",
        "object": "chat.completion",
        "created": int(datetime.now(UTC).timestamp()),
        "model": body["model"],
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said},
    }


def _wants_usage(body: Json) -> bool:
    options = body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _stream(completion: Json, answer: str, include_usage: bool) -> tuple[bytes, ...]:  # noqa: FBT001 - one of the request's own options
    shell = {**completion, "object": "chat.completion.chunk"}
    del shell["usage"]
    choices: list[tuple[Json, str | None]] = [({"role": "assistant", "content": ""}, None)]
    choices += [({"content": part}, None) for part in _deltas(answer)]
    choices.append(({}, "stop"))
    events = [
        {**shell, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in choices
    ]
    if include_usage:
        events.append({**shell, "choices": [], "usage": completion["usage"]})
    lines = [orjson.dumps(event) for event in events] + [b"[DONE]"]
    return tuple(b"data: " + line + b"\n\n" for line in lines)


def _deltas(answer: str) -> list[str]:
    return re.findall(rf"(?:\S+\s*){{1,{_WORDS_PER_DELTA}}}", answer)
