"""JSON answers, written straight to ASGI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
from starlette.types import Send

RawHeaders = Sequence[tuple[bytes, bytes]]


async def answer_json(send: Send, status: int, body: Mapping[str, object], headers: RawHeaders = ()) -> None:
    """Send a whole JSON response."""
    encoded = orjson.dumps(body)
    told = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(encoded)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": encoded})
