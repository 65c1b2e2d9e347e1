"""JSON answers."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.responses import Response


def json_answer(
    status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON response."""
    return Response(orjson.dumps(body), status, dict(headers or {}), "application/json")
