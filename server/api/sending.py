"""What a business's own programs ask over HTTP, n8n first of all: send a message, and see how it stands."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from server.api.bodies import TooLargeError, TooSlowError, read_object
from server.api.orders import order_of
from server.clock import monotonic_s
from server.db import Database
from server.domains import accounts, integrations, media, messaging
from server.domains.integrations import Answer
from server.errors import BadInputError, ProviderDownError, StoreUnavailableError
from server.ports import Outside

PER_SECOND = 20.0
BURST = 60
MOST_KEYS = 10_000
UPLOAD_TIMEOUT_S = 900.0
LONGEST_NUMBER = 18
# Statuses of refusals by their code; any other is 400.
STATUSES = {
    "conversation_unknown": 404,
    "contact_unknown": 404,
    "message_unknown": 404,
    "window_closed": 409,
    "opted_out": 422,
    "key_reused": 422,
    "too_many": 429,
}


@dataclass
class Rates:
    """A token bucket for each key of this process."""

    left: dict[UUID, tuple[float, float]] = field(default_factory=dict)

    def wait_s(self, key_id: UUID) -> float:
        """Use one place of a key; return 0, or after how many seconds there is one."""
        now = monotonic_s()
        if len(self.left) > MOST_KEYS:
            self.left.clear()
        places, since = self.left.get(key_id, (float(BURST), now))
        places = min(BURST, places + (now - since) * PER_SECOND)
        has_place = places >= 1
        self.left[key_id] = (places - has_place, now)
        return 0.0 if has_place else (1 - places) / PER_SECOND


@dataclass(frozen=True)
class Programs:
    """The endpoints of a business's own programs; an API key says whose."""

    database: Database
    outside: Outside
    rates: Rates = field(default_factory=Rates)

    def routes(self) -> list[Route]:
        """Return their URLs."""
        return [
            Route("/api/whatsapp/webhook/send", self.send, methods=["POST"]),
            Route("/api/whatsapp/media", self.upload, methods=["POST"]),
            Route("/api/whatsapp/messages/{message_id:uuid}", self.show, methods=["GET"]),
        ]

    async def send(self, request: Request) -> Response:
        """Store a message that is to be sent, and answer 202 with its id; a job sends it."""
        return await self._answered(request, self._send)

    async def upload(self, request: Request) -> Response:
        """Keep a file, which is the whole body; answer 201 with the id that a message names it by."""
        return await self._answered(request, self._keep)

    async def show(self, request: Request) -> Response:
        """Tell how a message stands."""
        return await self._answered(request, self._show)

    async def _answered(self, request: Request, do: Any) -> Response:
        try:
            found = await self._recognise(request)
            if found is None:
                return _refusal(401, "unauthorized", "No API key in force: Authorization: Bearer psk_….")
            wait_s = self.rates.wait_s(found.key_id)
            if wait_s:
                words = f"At most {PER_SECOND:.0f} requests a second for each key."
                return _refusal(429, "too_many_requests", words, **{"retry-after": str(int(wait_s) + 1)})
            return _json(await do(request, found.business_id))
        except BadInputError as error:
            return _refusal(_status_of(error), error.code, str(error))
        except (StoreUnavailableError, ProviderDownError):
            words = "Nothing was stored: ask again with the same Idempotency-Key."
            return _refusal(503, "store_unavailable", words, **{"retry-after": "5"})

    async def _recognise(self, request: Request) -> accounts.KeyFound | None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        key = bearer.strip() if scheme.lower() == "bearer" else ""
        key = key or request.headers.get("x-api-key", "") or request.headers.get("x-webhook-secret", "")
        return await accounts.find_api_key(self.database, key) if key else None

    async def _send(self, request: Request, business_id: int) -> Answer:
        body = await read_object(request.receive, request.headers.get("content-length", "").encode())
        key = request.headers.get("idempotency-key", "")
        order = order_of(body, business_id, client_key=f"api:{key or uuid4()}")
        async with self.database.transaction(business_id) as session:

            async def place() -> Answer:
                placed = await messaging.place_order(session, self.outside.channels, order)
                return Answer(202, _accepted(placed))

            if not key:
                return await place()
            told = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
            return await integrations.answer_once(session, business_id, key=key, body=told, do=place)

    async def _keep(self, request: Request, business_id: int) -> Answer:
        told, most = request.headers.get("content-length", ""), media.allowed_bytes(self.outside.media_limits)
        if told.isdigit() and int(told[:LONGEST_NUMBER]) > most:
            raise media.TooLargeError("too_large", f"A file has at most {most} bytes.")
        try:
            async with asyncio.timeout(UPLOAD_TIMEOUT_S):
                file = await media.keep_upload(
                    self.database,
                    self.outside,
                    business_id,
                    file_name=request.query_params.get("file_name", ""),
                    mimetype=request.headers.get("content-type", ""),
                    chunks=request.stream(),
                )
        except (TimeoutError, ClientDisconnect):
            raise TooSlowError("too_slow", "The file did not arrive whole in time.") from None
        known = {"media_id": str(file.id), "kind": file.kind, "file_name": file.file_name}
        return Answer(201, {"ok": True} | known | {"size_bytes": file.size_bytes})

    async def _show(self, request: Request, business_id: int) -> Answer:
        async with self.database.transaction(business_id) as session:
            found = await messaging.read_message(session, business_id, request.path_params["message_id"])
        if found is None:
            raise BadInputError("message_unknown", "There is no such message.")
        return Answer(
            200,
            {
                "ok": True,
                "message_id": str(found.id),
                "conversation_id": str(found.conversation_id),
                "direction": "incoming" if found.direction == "in" else "outgoing",
                "status": found.status,
                "reason": found.status_reason,
                "provider_id": found.provider_id,
                "created_at": found.created_at.isoformat(),
                "status_at": found.status_at.isoformat(),
            },
        )


def _accepted(placed: messaging.Placed) -> dict[str, Any]:
    # db_id and provider are what flows that were made before look for.
    return {
        "ok": True,
        "message_id": str(placed.message_id),
        "db_id": str(placed.message_id),
        "conversation_id": str(placed.conversation_id),
        "provider": placed.channel,
        "status": "queued",
    }


def _status_of(error: BadInputError) -> int:
    match error:
        case TooLargeError() | media.TooLargeError():
            return 413
        case TooSlowError():
            return 408
        case _:
            return STATUSES.get(error.code, 400)


def _json(answer: Answer) -> Response:
    headers = {"idempotency-replayed": "true"} if answer.is_repeated else {}
    return Response(orjson.dumps(answer.body), answer.status, headers, "application/json")


def _refusal(status: int, code: str, words: str, **headers: str) -> Response:
    told = {"ok": False, "error_code": code, "message": words}
    return Response(orjson.dumps(told), status, headers, "application/json")
