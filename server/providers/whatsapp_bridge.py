"""WhatsApp through a Baileys-style bridge, as bridges in the field speak.

They ignore `idempotencyKey`: whatever may have reached one is never sent a second time.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import httpx

from server.errors import ProviderBusyError, ProviderDownError, ProviderRefusedError, ProviderUnknownError
from server.ports import (
    Accepted,
    ChannelAccount,
    ChannelEvent,
    EventKind,
    IncomingFile,
    Json,
    ListedTemplate,
    Outgoing,
    OutgoingMedia,
    OutgoingReaction,
    OutgoingTemplate,
    OutgoingText,
    RawEvent,
)
from server.providers.answers import json_object, refuse_unless_there, retry_after_s
from server.providers.loose_json import count_of
from server.providers.raw_events import usable_id
from server.providers.whatsapp_bridge_files import file_address, opened
from server.providers.whatsapp_bridge_reading import read
from server.providers.whatsapp_bridge_splitting import split

TOTAL_TIMEOUT_S = 30.0
TIMEOUT = httpx.Timeout(TOTAL_TIMEOUT_S, connect=5.0)
OK = 200
FIRST_REDIRECT = 300
FIRST_REFUSAL = 400
FIRST_FAULT = 500
UNAVAILABLE = 503

REFUSALS: Mapping[int, str] = {
    400: "did not understand the message: update the bridge",
    401: "does not accept our secret: connect the channel again",
    403: "does not let us send: connect the channel again",
    404: "has no such address: check the channel's address",
    413: "says the message is too long: send it in parts",
    422: "cannot send this message: check the customer's number",
}
# A bridge's body may have 50 MB, and base64 makes a file a third larger.
MOST_FILE_BYTES = 36 * 2**20
CHUNK_BYTES = 64 * 1024
TYPES: Mapping[EventKind, str] = {
    EventKind.IMAGE: "image",
    EventKind.VIDEO: "video",
    EventKind.AUDIO: "audio",
    EventKind.VOICE: "audio",
}
TIMED_OUT = re.compile(r"time[ds]?[ -]?out", re.IGNORECASE)


class WhatsappBridge:
    """The channel `whatsapp_bridge`; `http` is shared with other providers and closed by its owner."""

    window: timedelta | None = None

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    def split(self, payload: Json) -> Sequence[RawEvent]:
        """Cut a webhook's whole body into events; a bad one comes back with its reason."""
        return split(payload)

    def read(self, payload: Json) -> ChannelEvent:
        """Read one event that `split` cut out; never raises."""
        return read(payload)

    async def send(self, account: ChannelAccount, outgoing: Outgoing, *, to: str, key: str) -> Accepted:
        """Send one thing; `key` travels along as `idempotencyKey` and names the call in the bridge's log."""
        told = _told(outgoing, account)
        answer = await self._post(
            account, "send", told | {"to": to, "idempotencyKey": key, "tenantId": account.tenant}
        )
        if answer.status_code >= FIRST_REDIRECT:
            _raise_refusal(answer, account)
        message_id = usable_id(json_object(answer).get("messageId"))
        if answer.status_code != OK or message_id is None:
            raise ProviderUnknownError(
                f"{_name(account)} answered without a message id: it may have been sent", account=_id(account)
            )
        return Accepted(message_id)

    def address_of(self, phone: str) -> str:
        """Return a phone's JID."""
        return f"{phone.removeprefix('+')}@s.whatsapp.net"

    async def show_reading(
        self,
        account: ChannelAccount,
        *,
        to: str,
        message_id: str,  # noqa: ARG002 -- a bridge marks the chat and not the message
    ) -> None:
        """Show the customer that an answer is being written."""
        body = {"jid": to, "typing": True, "tenantId": account.tenant}
        answer = await self._post(account, "sendTyping", body)
        if answer.status_code >= FIRST_REDIRECT:
            _raise_refusal(answer, account)

    async def list_templates(self, account: ChannelAccount) -> Sequence[ListedTemplate]:  # noqa: ARG002 -- the port's shape
        """Return none: a bridge sends any words at any time."""
        return ()

    @asynccontextmanager
    async def open_file(self, account: ChannelAccount, media: Json) -> AsyncIterator[IncomingFile]:
        """Fetch a file from where its message says that it is, and open it if it is encrypted."""
        url, key = file_address(media, account.base_url)
        # Nobody calls the bridge's own verbs by way of a file's address: the secret stays here.
        try:
            async with self._http.stream("GET", url, timeout=TIMEOUT) as answer:
                refuse_unless_there(answer, account, name=_name(account))
                chunks, size = answer.aiter_bytes(CHUNK_BYTES), count_of(answer.headers.get("content-length"))
                if key is not None:
                    chunks, size = opened(chunks, key, EventKind(media.get("kind", "document"))), None
                mimetype = answer.headers.get("content-type", "application/octet-stream")
                yield IncomingFile(mimetype, size, chunks)
        except (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL) as error:
            raise ProviderDownError(
                f"{_name(account)}: the file broke off ({type(error).__name__})", account=_id(account)
            ) from error

    async def _post(self, account: ChannelAccount, verb: str, body: Mapping[str, object]) -> httpx.Response:
        # A kept connection that the bridge has just closed would leave us guessing whether it was sent.
        told = {
            "Connection": "close",
            "Content-Type": "application/json",
            "X-Internal-Secret": account.secret,
        }
        headers = httpx.Headers(told, encoding="utf-8")
        content = json.dumps(body).encode()
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                return await self._http.post(
                    _url(account, verb), content=content, headers=headers, timeout=TIMEOUT
                )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ProviderDownError(
                f"{_name(account)} cannot be reached: is it running?", account=_id(account)
            ) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise ProviderRefusedError(
                f"{_name(account)} has an address or a secret that cannot be used: connect the channel again",
                account=_id(account),
            ) from error
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
            raise ProviderUnknownError(
                f"{_name(account)} broke off before it answered, and may have sent the message"
                f" ({type(error).__name__})",
                account=_id(account),
            ) from error


def _told(outgoing: Outgoing, account: ChannelAccount) -> dict[str, object]:
    match outgoing:
        # A bridge has no field for a quote: the words arrive without it.
        case OutgoingText(text=text):
            return {"type": "text", "text": text}
        # A bridge knows no templates: the customer reads the same words.
        case OutgoingTemplate(text=text):
            return {"type": "text", "text": text}
        case OutgoingMedia():
            return _file(outgoing, account)
        case OutgoingReaction():
            raise ProviderRefusedError(f"{_name(account)} cannot send reactions", account=_id(account))


def _file(media: OutgoingMedia, account: ChannelAccount) -> dict[str, object]:
    if len(media.content) > MOST_FILE_BYTES:
        raise ProviderRefusedError(
            f"{_name(account)} takes files of {MOST_FILE_BYTES // 2**20} MB at most", account=_id(account)
        )
    told = {
        "data": base64.b64encode(media.content).decode(),
        "mimetype": media.mimetype,
        "filename": media.file_name,
    }
    return {"type": TYPES.get(media.kind, "document"), "media": told, "caption": media.caption or ""}


def _url(account: ChannelAccount, verb: str) -> str:
    """Return a verb's address; raise InvalidURL for what an HTTP client would stumble over later."""
    url = f"{account.base_url.rstrip('/')}/{verb}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise httpx.InvalidURL("not an address to send to")
    return url


def _raise_refusal(answer: httpx.Response, account: ChannelAccount) -> None:
    """Raise what an answer of 300 or more means; only the bridge's own word proves that nothing was sent."""
    status, name = answer.status_code, _name(account)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise ProviderBusyError(
            f"{name} asks to slow down", retry_after_s=retry_after_s(answer), account=_id(account)
        )
    if status == httpx.codes.REQUEST_TIMEOUT:
        raise ProviderDownError(f"{name} did not receive the whole message", account=_id(account))
    if status < FIRST_REFUSAL:
        raise ProviderRefusedError(
            f"{name} moved elsewhere: check the channel's address", account=_id(account)
        )
    if status < FIRST_FAULT:
        words = REFUSALS.get(status, f"refused the message (status {status})")
        raise ProviderRefusedError(f"{name} {words}", account=_id(account))
    if _says_not_sent(answer):
        raise ProviderDownError(
            f"{name} could not send just now: is WhatsApp connected?", account=_id(account)
        )
    raise ProviderUnknownError(
        f"{name} failed with status {status}: it may have been sent", account=_id(account)
    )


def _says_not_sent(answer: httpx.Response) -> bool:
    body = json_object(answer)
    if answer.status_code == UNAVAILABLE:
        return isinstance(body.get("error"), str)
    # The bridge's own time limit ends its waiting, not WhatsApp's sending.
    timed_out = TIMED_OUT.search(str(body.get("message", "")))
    return answer.status_code == FIRST_FAULT and body.get("error") == "send_failed" and not timed_out


def _name(account: ChannelAccount) -> str:
    return f"The WhatsApp bridge of business {account.business_id}"


def _id(account: ChannelAccount) -> str:
    return str(account.channel_id)
