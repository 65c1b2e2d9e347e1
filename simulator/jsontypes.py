"""The JSON edge: bodies are parsed here once."""

from typing import Any

import orjson
from starlette.requests import Request

from simulator.errors import BadInputError

Json = dict[str, Any]

LONG_TEXT = 10_000


async def read_object(request: Request) -> Json:
    """Read the request's JSON object; raises BadInputError for anything else."""
    return parse_object(await request.body())


def parse_object(raw: bytes) -> Json:
    """Parse one JSON object; raises BadInputError for anything else."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadInputError("The body is not JSON: send one JSON object.") from error
    if not isinstance(value, dict):
        raise BadInputError("The body is not a JSON object: send {…}.")
    return value


def shortened(value: Any) -> Any:
    """Cut strings over 10,000 characters, as media in base64 would fill the call list's memory."""
    match value:
        case str() if len(value) > LONG_TEXT:
            return f"{value[:200]}… ({len(value)} characters)"
        case dict():
            return {key: shortened(item) for key, item in value.items()}
        case list():
            return [shortened(item) for item in value]
        case _:
            return value
