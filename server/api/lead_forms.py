"""Where forms of web sites and automations post leads: stored with a job, then answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from server.api.answers import answer_json
from server.api.bodies import as_object, read_body
from server.api.refusals import Refusals
from server.api.webhooks import refusal_of
from server.db import Database
from server.domains import contacts
from server.errors import BadInputError, ProsaasError

CHANNEL = "lead_form"
FORM = b"application/x-www-form-urlencoded"
MOST_FIELDS = 500
SECRETS = (b"x-webhook-secret", b"x-internal-secret", b"x-api-key")
# Not X-Request-Id: proxies make a new one for each try.
DELIVERIES = (b"idempotency-key", b"webhook-id", b"x-delivery-id")
BEARER = "bearer "


class LeadFormWebhook:
    """`POST /api/webhook/leads/{id}` and its alias; plain ASGI, as the other webhooks."""

    def __init__(self, database: Database, refusals: Refusals) -> None:
        self._database = database
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: 202 once it is stored."""
        try:
            told = await self._store(scope["path_params"]["form"], dict(scope["headers"]), receive)
        except ClientDisconnect:
            return
        except ProsaasError as error:
            status, body, headers = _refusal(error)
            self._refusals.note(CHANNEL, str(body["error"]))
            await answer_json(send, status, body, headers)
        else:
            await answer_json(send, 202, {"ok": True, "delivery_id": told})

    async def _store(self, named: str, headers: Mapping[bytes, bytes], receive: Receive) -> str:
        form = await contacts.find_form(self._database, named=named, secret=secret_in(headers))
        body = await read_body(receive, headers.get(b"content-length", b""))
        fields = read_fields(body, headers.get(b"content-type", b""))
        delivery = next((headers[name].decode("latin-1") for name in DELIVERIES if headers.get(name)), "")
        return str(await contacts.receive_form(self._database, form, fields, delivery=delivery))


def secret_in(headers: Mapping[bytes, bytes]) -> str:
    """Return the secret that a request carries in a header, or nothing."""
    told = headers.get(b"authorization", b"").decode("latin-1")
    if told.lower().startswith(BEARER):
        return told[len(BEARER) :].strip()
    return next((headers[name].decode("latin-1") for name in SECRETS if headers.get(name)), "")


def read_fields(body: bytes, content_type: bytes) -> dict[str, Any]:
    """Return a body's fields, of JSON or of a form; raise BadInputError `not_json` or `form_invalid`."""
    if content_type.lower().split(b";")[0].strip() != FORM:
        return as_object(body)
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=MOST_FIELDS))
    except ValueError:
        raise BadInputError("form_invalid", "The form cannot be read.") from None


def _refusal(error: ProsaasError) -> tuple[int, dict[str, object], Any]:
    match error:
        case contacts.WrongFormSecretError():
            return 401, {"ok": False, "error": "unauthorized"}, []
        case contacts.UnknownFormError():
            return 404, {"ok": False, "error": "unknown_form"}, []
        case _:
            return refusal_of(error)
