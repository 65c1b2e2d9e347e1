"""What is told to others and how it is signed, when it is tried again, and what an answer means.

Signatures follow Standard Webhooks 1.0 (https://www.standardwebhooks.com): the secret's text after
`whsec_` is base64 of the key, and id, timestamp and body are signed together, byte by byte.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson

from server.errors import BadInputError

TEST = "webhook.test"
# Every event there is, in the order in which pages list them. docs/webhooks.md shows a sample of each.
EVENTS = (
    "whatsapp_incoming",
    "whatsapp_outgoing",
    "message.status",
    "conversation.needs_person",
    "lead.created",
    "lead.status_changed",
    "contact.merged",
)
SECRET_PREFIX = "whsec_"  # noqa: S105 -- what every secret begins with
SECRET_BYTES = 24
# How long the secret before a new one signs as well: time to bring the new one to the receiver.
OLDER_SECRET_LASTS = timedelta(hours=24)

# Waits between the tries of a round, in seconds: 23 hours and a half in all.
BACKOFF_S = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 28800.0, 28800.0)
ROUND = timedelta(hours=26)
JITTER = 0.2
# An endpoint that answered nothing for so long is turned off, and its owner told.
FAILING = timedelta(days=5)
# Of what waits while its endpoint is not called, each looks again ever later, up to this.
LONGEST_PATIENCE_S = 600.0

LONGEST_URL = 2000
LONGEST_DESCRIPTION = 200
LOWEST_OPEN_PORT = 1024
WEB_PORTS = frozenset({80, 443})
ANSWER_KEPT = 1000

NOT_FOUND, GONE = 404, 410
REDIRECTS = range(300, 400)
SLOW_DOWN = frozenset({429, 503})


class Verdict(StrEnum):
    """What an answer means for a delivery."""

    DELIVERED = "delivered"
    GONE = "gone"
    BUSY = "busy"
    AGAIN = "again"


@dataclass(frozen=True)
class Signed:
    """One event as it goes out: its body, and what signs it."""

    id: UUID
    type: str
    body: bytes
    secrets: Sequence[str]

    @property
    def webhook_id(self) -> str:
        """Return the name that is the same on every try, so that a receiver tells a repetition."""
        return f"msg_{self.id.hex}"


def body_of(event_type: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    """Return the bytes that are sent, and signed, on every try: UTF-8, nothing escaped that need not be."""
    return orjson.dumps({"type": event_type, "timestamp": at.isoformat(), "data": data})


def headers_of(signed: Signed, at: datetime) -> dict[str, str]:
    """Return the headers of one try at this moment; the newest secret comes first.

    The older `X-ProSaaS-*` sign the body alone, with the secret's text as it is shown.
    """
    timestamp = str(int(at.timestamp()))
    told = f"{signed.webhook_id}.{timestamp}.".encode() + signed.body
    newest = signed.secrets[0].encode()
    return {
        "content-type": "application/json",
        "user-agent": "ProSaaS-Webhooks/1",
        "webhook-id": signed.webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature(secret, told)}" for secret in signed.secrets),
        "x-prosaas-event": signed.type,
        "x-prosaas-timestamp": timestamp,
        "x-prosaas-signature": hmac.new(newest, signed.body, hashlib.sha256).hexdigest(),
    }


def signature(secret: str, told: bytes) -> str:
    """Return the base64 of HMAC-SHA256 under the key that a secret's text holds."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    return base64.b64encode(hmac.new(key, told, hashlib.sha256).digest()).decode()


def new_secret() -> str:
    """Return a secret as its owner sees it once."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def is_secret(text: str) -> bool:
    """Tell whether a text is a secret that can sign."""
    try:
        return len(base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)) >= SECRET_BYTES
    except binascii.Error:
        return False


def verdict_of(status: int, *, retry_after_s: float | None) -> Verdict:
    """Sort an answer's status: anything but success is tried again, except a receiver that is gone."""
    if status in range(200, 300):
        return Verdict.DELIVERED
    if status == GONE:
        return Verdict.GONE
    return Verdict.BUSY if status in SLOW_DOWN and retry_after_s is not None else Verdict.AGAIN


def why_not(status: int, answer: str) -> str:
    """Say in words what an answer other than success means, and what to do about it."""
    if status == NOT_FOUND and "not registered" in answer:
        return "n8n does not know this webhook: activate the workflow, or use its production address"
    if status == GONE:
        return "the receiver says that it is gone (410): the endpoint was turned off"
    if status in REDIRECTS:
        return f"it redirects ({status}), and redirects are not followed: enter the address that it leads to"
    return f"it answered with status {status}"


def wait_s(index: int, *, dice: float, asked_s: float | None = None) -> float | None:
    """Return the seconds to wait after the try of this index in its round; None after the last one.

    `dice`, between 0 and 1, spreads what failed together. Never sooner than the receiver asked for.
    """
    if index >= len(BACKOFF_S):
        return None
    return max(BACKOFF_S[index] * (1 + JITTER * (2 * dice - 1)), asked_s or 0.0)


def checked_url(written: str) -> str:
    """Return an address that may be posted to; raise BadInputError `bad_url`.

    Where it leads is looked at when it is entered and, for a name may lead elsewhere by then, at every call.
    """
    url = written.strip()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadInputError("bad_url", "This is not an address.") from None
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url or not parts.hostname:
        raise BadInputError("bad_url", "Enter a whole address, such as https://n8n.example/webhook/prosaas.")
    if parts.scheme not in {"https", "http"}:
        raise BadInputError("bad_url", "The address must begin with https:// or http://.")
    if parts.username is not None or parts.password is not None:
        raise BadInputError("bad_url", "Leave name and password out of the address: the signature proves us.")
    if parts.fragment:
        raise BadInputError("bad_url", "Leave out what follows the # of the address.")
    if port is not None and port not in WEB_PORTS and port < LOWEST_OPEN_PORT:
        raise BadInputError("bad_url", "Use port 80, 443, or one from 1024.")
    return url


def checked_events(chosen: Collection[str]) -> list[str]:
    """Return the chosen events in their order; raise BadInputError `no_events` without any known one."""
    events = [name for name in EVENTS if name in chosen]
    if not events:
        raise BadInputError("no_events", "Choose at least one event.")
    return events


def attempt_key(delivery_id: UUID, number: int) -> str:
    """Return the effect key of one try; the next one has its own, and the receiver tells by the id."""
    return f"webhook:{delivery_id}:{number}"
