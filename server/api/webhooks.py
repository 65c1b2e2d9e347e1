"""Webhooks from the outside: check the secret, store, ask for the job, answer. Nothing is done inline."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from server.api.answers import json_answer
from server.api.bodies import TooLargeError, read_object
from server.db.tenancy import credential_digest
from server.domains.messaging.receiving import (
    Delivery,
    Receiver,
    UnknownBusinessError,
    WrongSecretError,
)
from server.errors import BadInputError, ProsaasError
from server.ports import MessageChannel

TENANT = re.compile(r"(?:business_)?([1-9][0-9]{0,17})")
RETRY_AFTER_S = "5"


def whatsapp_bridge_webhook(
    receiver: Receiver, channel: MessageChannel
) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint that a WhatsApp bridge posts to, with `X-Internal-Secret`."""

    async def receive(request: Request) -> Response:
        try:
            secret = request.headers.get("x-internal-secret", "")
            if not secret:
                raise WrongSecretError("X-Internal-Secret is missing")
            body = await read_object(request)
            delivery = Delivery(credential_digest(secret), tenant_of(body), partial(channel.split, body))
            stored = await receiver.receive(delivery)
        except ProsaasError as error:
            return refusal(error)
        return json_answer(200, {"ok": True, "stored": stored})

    return receive


def refusal(error: ProsaasError) -> Response:
    """Return the answer that tells a sender why, and by its status whether to try again."""
    match error:
        case TooLargeError(code=code):
            return json_answer(413, {"ok": False, "error": code, "message": str(error)})
        case BadInputError(code=code):
            return json_answer(400, {"ok": False, "error": code, "message": str(error)})
        case WrongSecretError():
            return json_answer(401, {"ok": False, "error": "unauthorized"})
        case UnknownBusinessError():
            return json_answer(404, {"ok": False, "error": "unknown_business"})
        case _:
            body = {"ok": False, "error": "store_unavailable"}
            return json_answer(503, body, {"retry-after": RETRY_AFTER_S})


def tenant_of(body: dict[str, Any]) -> int:
    """Return the business that a bridge's envelope names; raise BadInputError, never a default."""
    told = body.get("tenantId")
    if told is None or told == "":
        raise BadInputError("missing_tenant_id", "tenantId is missing.")
    if not isinstance(body.get("payload"), dict):
        raise BadInputError("missing_payload", "payload is missing or is not an object.")
    match = TENANT.fullmatch(str(told))
    if match is None:
        raise UnknownBusinessError(f"{type(told).__name__} is not a tenant id")
    return int(match[1])
