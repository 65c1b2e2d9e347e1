"""The business's number at Meta: who may send from it, where its webhooks go, what it has stored."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from simulator.cloud_errors import MetaError
from simulator.cloud_templates import TEMPLATES
from simulator.errors import BadInputError
from simulator.jsontypes import Json
from simulator.webhooks import Webhook, WebhookClient, WebhookPoster

PHONE_NUMBER_ID = "106540352242922"
WABA_ID = "102290129340398"
DISPLAY_PHONE_NUMBER = "97230000000"
WINDOW = timedelta(hours=24)
MEDIA_URL_LIVES_S = 300
KEPT_URLS = 10_000
KEPT_WRITERS = 100_000
# Meta goes on for seven days; nobody waits that long for a simulator.
RETRY_DELAYS_S = (2, 5, 15, 60, 300, 900)
OK = 200
VERIFY_TIMEOUT_S = 10


@dataclass(frozen=True)
class Connection:
    """What the business and Meta have agreed on; `enforce_window` refuses free text after 24 hours."""

    webhook_url: str
    app_secret: str
    verify_token: str
    access_token: str
    phone_number_id: str = PHONE_NUMBER_ID
    waba_id: str = WABA_ID
    display_phone_number: str = DISPLAY_PHONE_NUMBER
    enforce_window: bool = False
    media_url_lives_s: int = MEDIA_URL_LIVES_S
    sends_receipts: bool = True


def sealed(envelope: Json, app_secret: str) -> tuple[bytes, dict[str, str]]:
    """Write a webhook as Meta does, every non-ASCII character escaped, and sign the raw bytes."""
    body = json.dumps(envelope, ensure_ascii=True, separators=(",", ":")).encode()
    digest = hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest}"}
    return body, headers


def new_wamid() -> str:
    """Make a message id as Meta does: base64 of bytes that mean something to nobody else."""
    return f"wamid.{base64.b64encode(secrets.token_bytes(27)).decode()}"


class CloudNumber:
    """One number: its connection, once there is one, and what changes while the world runs."""

    def __init__(self, client: WebhookClient, *, retry_scale: float) -> None:
        self._client = client
        self._retry_scale = retry_scale
        self._connection: Connection | None = None
        self._poster: WebhookPoster | None = None
        self._urls: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._wrote_at: OrderedDict[str, datetime] = OrderedDict()
        self.templates: list[Json] = list(TEMPLATES)
        self.sends_receipts = True

    @property
    def connection(self) -> Connection:
        """Return what was agreed on; raises BadInputError before `POST /sim/cloud`."""
        if self._connection is None:
            raise BadInputError("The Cloud number is not connected: POST /sim/cloud first.")
        return self._connection

    @property
    def is_connected(self) -> bool:
        """Whether somebody connected the number."""
        return self._connection is not None

    @property
    def webhooks(self) -> WebhookPoster:
        """Return the poster to the business's webhook; raises BadInputError before a connection."""
        if self._poster is None:
            raise BadInputError("The Cloud number is not connected: POST /sim/cloud first.")
        return self._poster

    async def connect(self, connection: Connection) -> bool:
        """Take on a connection and verify its webhook as Meta does; returns whether it verified."""
        self.agree(connection)
        return await self._verify(connection)

    def agree(self, connection: Connection) -> None:
        """Take on a connection whose webhook was verified before."""
        self.forget_deliveries()

        def seal(envelope: Json) -> tuple[bytes, dict[str, str]]:
            return sealed(envelope, connection.app_secret)

        delays_s = tuple(delay_s * self._retry_scale for delay_s in RETRY_DELAYS_S)
        webhook = Webhook(connection.webhook_url, seal, lambda status: status != OK, delays_s)
        self._connection, self._poster = connection, WebhookPoster(webhook, self._client)
        self.sends_receipts = connection.sends_receipts

    async def _verify(self, connection: Connection) -> bool:
        challenge = str(secrets.randbelow(10**10))
        asked = {
            "hub.mode": "subscribe",
            "hub.verify_token": connection.verify_token,
            "hub.challenge": challenge,
        }
        answer = await self._client.get(connection.webhook_url, asked, timeout_s=VERIFY_TIMEOUT_S)
        return answer == (OK, challenge)

    def accepts_token(self, authorization: str) -> bool:
        """Compare a bearer with the number's own; before a connection nobody's is right."""
        if self._connection is None:
            return False
        scheme, _, token = authorization.partition(" ")
        wanted = self._connection.access_token.encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), wanted)

    def note_customer(self, chat: str, at: datetime) -> None:
        """Remember when a customer wrote last, which opens the window for free text."""
        self._wrote_at[chat] = max(at, self._wrote_at.get(chat, at))
        self._wrote_at.move_to_end(chat)
        if len(self._wrote_at) > KEPT_WRITERS:
            self._wrote_at.popitem(last=False)

    def check_window(self, chat: str) -> None:
        """Raise MetaError 131047 where free text comes too late and the number was told to mind it."""
        if not self.connection.enforce_window:
            return
        wrote_at = self._wrote_at.get(chat)
        if wrote_at is None or datetime.now(UTC) - wrote_at > WINDOW:
            raise MetaError(
                131047, "More than 24 hours have passed since the customer last replied: send a template."
            )

    def new_media_url(self, media_id: str) -> str:
        """Return the key of an address that serves this file for five minutes."""
        key = secrets.token_urlsafe(16)
        self._urls[key] = (media_id, time.monotonic() + self.connection.media_url_lives_s)
        if len(self._urls) > KEPT_URLS:
            self._urls.popitem(last=False)
        return key

    def media_at(self, key: str) -> str | None:
        """Return the file behind an address, None if it has run out or never was."""
        media_id, ends_at = self._urls.get(key, (None, 0.0))
        return media_id if time.monotonic() < ends_at else None

    def forget_deliveries(self) -> None:
        """Cancel what is on its way to the webhook."""
        if self._poster:
            self._poster.forget_all()

    async def close(self) -> None:
        """Cancel it and wait for its end."""
        if self._poster:
            await self._poster.close()

    def reset(self) -> None:
        """Start over; the connection stays, as the bridge's does."""
        self.forget_deliveries()
        self._urls.clear()
        self._wrote_at.clear()
        self.templates = list(TEMPLATES)
        self.sends_receipts = self._connection.sends_receipts if self._connection else True
