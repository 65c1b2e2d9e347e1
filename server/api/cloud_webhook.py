"""The webhook of a WhatsApp number at Meta: a path and secrets of its own for every number.

Source: developers.facebook.com, Graph API, "Webhooks", verification requests and validating payloads.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from server.api.answers import answer_json
from server.api.bodies import as_object, read_body
from server.api.refusals import Refusals
from server.api.webhooks import refuse
from server.db.tenancy import credential_digest
from server.domains.messaging import Door, Doors, Receiver, WrongSecretError, WrongTokenError
from server.errors import BadInputError, ProsaasError
from server.ports import Outside, RawEvent

KIND = "whatsapp_cloud"
SCHEME = "sha256="
LONGEST_CHALLENGE = 200
FOREIGN = "it names another number than the one that this address belongs to"


class WhatsappCloudWebhook:
    """The endpoint that Meta verifies with a GET and posts to, signed over the raw bytes."""

    def __init__(self, receiver: Receiver, doors: Doors, outside: Outside, refusals: Refusals) -> None:
        self._receiver = receiver
        self._doors = doors
        self._outside = outside
        self._channel = outside.channels[KIND]
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            key = self._outside.channel_key(str(scope["path_params"]["channel_id"]))
            door = await self._doors.find(credential_digest(key))
            if scope["method"] == "POST":
                stored = await self._store(door, dict(scope["headers"]), receive)
                await answer_json(send, 200, {"ok": True, "stored": stored})
            else:
                await _answer_text(send, self._challenge(door, scope["query_string"]))
        except ClientDisconnect:
            return
        except ProsaasError as error:
            await refuse(send, error, channel=KIND, refusals=self._refusals)

    def _challenge(self, door: Door, query: bytes) -> str:
        try:
            told = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=20))
        except ValueError:
            raise BadInputError("query_invalid", "The query has too many fields.") from None
        token = self._secret(door.verify_token)
        is_known = hmac.compare_digest(token.encode(), told.get("hub.verify_token", "").encode())
        if not token or not is_known or told.get("hub.mode") != "subscribe":
            raise WrongTokenError("hub.verify_token is not this channel's")
        return told.get("hub.challenge", "")[:LONGEST_CHALLENGE]

    async def _store(self, door: Door, headers: Mapping[bytes, bytes], receive: Receive) -> int:
        signature = headers.get(b"x-hub-signature-256", b"").decode("latin-1")
        if not signature:
            raise WrongSecretError("X-Hub-Signature-256 is missing")
        body = await read_body(receive, headers.get(b"content-length", b""))
        if not is_signed(body, signature, self._secret(door.signing_secret)):
            raise WrongSecretError("X-Hub-Signature-256 is not this channel's")
        events = [self._own(door, event) for event in self._channel.split(as_object(body))]
        return await self._receiver.receive_at(door, events)

    def _own(self, door: Door, event: RawEvent) -> RawEvent:
        """Keep apart, as unreadable, what came to another number: its chats are none of this channel's."""
        if event.account in {"", door.account_id}:
            return event
        self._refusals.note(KIND, "foreign_number")
        kept = {"foreign": event.payload}
        return replace(event, event_id=f"foreign:{event.event_id}", payload=kept, reason=FOREIGN)

    def _secret(self, sealed: str) -> str:
        return self._outside.open_secret(sealed) if sealed else ""


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Tell whether a body is signed as Meta signs; without a secret nothing is."""
    if not secret or not signature.startswith(SCHEME):
        return False
    own = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(own.encode(), signature.removeprefix(SCHEME).encode())


async def _answer_text(send: Send, text: str) -> None:
    # Word for word what the asker sent: a browser must not take it for a page.
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode("utf-8", "replace")})
