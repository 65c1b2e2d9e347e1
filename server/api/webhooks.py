"""Webhooks from the outside: check the secret, store, ask for the job, answer. Nothing is done inline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from server.api.answers import RawHeaders, answer_json
from server.api.bodies import TooLargeError, TooSlowError, read_object
from server.api.refusals import Refusals
from server.db.tenancy import credential_digest
from server.domains.messaging import (
    Delivery,
    Receiver,
    UnknownBusinessError,
    UnknownChannelError,
    WrongSecretError,
    WrongTokenError,
)
from server.errors import BadInputError, ProsaasError
from server.ports import MessageChannel

KIND = "whatsapp_bridge"
TENANT = re.compile(r"(?:business_)?([1-9][0-9]{0,17})")
RETRY_AFTER_S = b"5"


class WhatsappBridgeWebhook:
    """The endpoint that a WhatsApp bridge posts to, with `X-Internal-Secret`.

    Plain ASGI: thousands of these arrive a second, and a framework's request costs as much as
    all that is done with it.
    """

    def __init__(self, receiver: Receiver, channel: MessageChannel, refusals: Refusals) -> None:
        self._receiver = receiver
        self._channel = channel
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            stored = await self._store(dict(scope["headers"]), receive)
        except ClientDisconnect:
            return
        except ProsaasError as error:
            await refuse(send, error, channel=KIND, refusals=self._refusals)
        else:
            await answer_json(send, 200, {"ok": True, "stored": stored})

    async def _store(self, headers: Mapping[bytes, bytes], receive: Receive) -> int:
        secret = headers.get(b"x-internal-secret")
        if not secret:
            raise WrongSecretError("X-Internal-Secret is missing")
        digest = credential_digest(secret.decode("latin-1"))
        await self._receiver.require_secret(digest)
        body = await read_object(receive, headers.get(b"content-length", b""))
        return await self._receiver.receive(Delivery(digest, tenant_of(body), self._channel.split(body)))


async def refuse(send: Send, error: ProsaasError, *, channel: str, refusals: Refusals) -> None:
    """Tell a sender why, and by the status whether to try again; the operator sees that it happened."""
    status, body, headers = refusal_of(error)
    refusals.note(channel, str(body["error"]))
    await answer_json(send, status, body, headers)


def refusal_of(error: ProsaasError) -> tuple[int, dict[str, object], RawHeaders]:
    """Return the status, the body and the headers that an error is answered with."""
    code, headers = "store_unavailable", [(b"retry-after", RETRY_AFTER_S)]
    match error:
        case BadInputError():
            status = {TooLargeError: 413, TooSlowError: 408}.get(type(error), 400)
            return status, {"ok": False, "error": error.code, "message": str(error)}, []
        case WrongTokenError():
            status, code, headers = 403, "wrong_token", []
        case WrongSecretError():
            status, code, headers = 401, "unauthorized", []
        case UnknownBusinessError():
            status, code, headers = 404, "unknown_business", []
        case UnknownChannelError():
            status, code, headers = 404, "unknown_channel", []
        case _:
            status = 503
    return status, {"ok": False, "error": code}, headers


def tenant_of(body: dict[str, Any]) -> int:
    """Return the business that a bridge's envelope names; raise BadInputError, never a default."""
    told = body.get("tenantId")
    if told is None or told == "":
        raise BadInputError("missing_tenant_id", "tenantId is missing.")
    if not isinstance(body.get("payload"), dict):
        raise BadInputError("missing_payload", "payload is missing or is not an object.")
    return as_tenant(told)


def as_tenant(told: object) -> int:
    """Return the business of a tenant's id, `business_6` or `6`; raise UnknownBusinessError."""
    match = TENANT.fullmatch(str(told)) if isinstance(told, str | int) else None
    if match is None:
        raise UnknownBusinessError(f"{type(told).__name__} is not a tenant id")
    return int(match[1])
