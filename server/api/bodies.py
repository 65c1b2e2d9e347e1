"""Reading a request's body: bounded, and as JSON that can be stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from server.errors import BadInputError

MOST_BYTES = 3 * 1024 * 1024
MOST_SECONDS = 20
LONGEST_NUMBER = 20


class TooLargeError(BadInputError):
    """The body is over three megabytes, the most that WhatsApp's senders use."""


class TooSlowError(BadInputError):
    """The body did not come to its end in time."""


async def read_object(receive: Receive, told_size: bytes) -> dict[str, Any]:
    """Return the body as a JSON object; raise TooLargeError, TooSlowError or BadInputError `not_json`."""
    return as_object(await read_body(receive, told_size))


async def read_body(receive: Receive, told_size: bytes) -> bytes:
    """Return the body as it came; raise TooLargeError or TooSlowError."""
    reading = _read(receive, told_size)
    try:
        # Nearly every body is here with its head, and a timer costs more than reading it does.
        waits_for = reading.send(None)
    except StopIteration as whole:
        return bytes(whole.value)
    try:
        async with asyncio.timeout(MOST_SECONDS):
            return await _Begun(reading, waits_for)
    except TimeoutError:
        raise TooSlowError("too_slow", f"The body took over {MOST_SECONDS} seconds.") from None


def as_object(body: bytes) -> dict[str, Any]:
    """Return a body as a JSON object; raise BadInputError `not_json`."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = _loads_leniently(body)
    if not isinstance(told, dict):
        raise BadInputError("not_json", "The body must be a JSON object.")
    return told


class _Begun(Awaitable[bytes]):
    """What is left of a coroutine that has come as far as its first wait."""

    def __init__(self, coroutine: Coroutine[object, None, bytes], waits_for: object) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[object, None, bytes]:
        """Go on with it, and have it told what its waiting ends with, a cancellation too."""
        try:
            while True:
                try:
                    yield self._waits_for
                except BaseException as error:  # noqa: BLE001 -- it is the coroutine's to deal with
                    self._waits_for = self._coroutine.throw(error)
                else:
                    self._waits_for = self._coroutine.send(None)
        except StopIteration as ended:
            return bytes(ended.value)


async def _read(receive: Receive, told_size: bytes) -> bytes:
    """Read to the end, or to the first byte too many; `told_size` is the Content-Length, if any."""
    if told_size.isdigit() and (len(told_size) > LONGEST_NUMBER or int(told_size) > MOST_BYTES):
        raise too_large()
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MOST_BYTES:
            raise too_large()
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def too_large() -> TooLargeError:
    """Return the refusal of a body over the limit."""
    return TooLargeError("too_large", f"The body is over {MOST_BYTES} bytes.")


def _loads_leniently(body: bytes) -> Any:
    """Accept what JavaScript may send: half of a surrogate pair, where it cut a text in an emoji."""
    try:
        text = json.dumps(json.loads(body, parse_constant=_no_constant), ensure_ascii=False)
        return orjson.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        raise BadInputError("not_json", "The body is not JSON.") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
