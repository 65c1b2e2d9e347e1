"""WhatsApp through a Baileys-style bridge, as bridges in the field speak.

They ignore `idempotencyKey`: whatever may have reached one is never sent a second time.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from types import MappingProxyType
from urllib.parse import urlsplit

import httpx

from server.errors import ProviderBusyError, ProviderDownError, ProviderRefusedError, ProviderUnknownError
from server.ports import (
    Accepted,
    ChannelAccount,
    ChannelEvent,
    EventKind,
    IdentityKind,
    IncomingFile,
    Json,
    ListedTemplate,
    Outgoing,
    RawEvent,
)
from server.providers.answers import json_object, refuse_unless_there, retry_after_s
from server.providers.loose_json import count_of
from server.providers.raw_events import usable_id
from server.providers.whatsapp_bridge_files import file_address, opened
from server.providers.whatsapp_bridge_messages import body_of, id_of, name_of
from server.providers.whatsapp_bridge_reading import read
from server.providers.whatsapp_bridge_splitting import split

TOTAL_TIMEOUT_S = 30.0
# Who finds no free connection is told so before the whole time is up: then nothing can have been sent.
TIMEOUT = httpx.Timeout(TOTAL_TIMEOUT_S, connect=5.0, pool=20.0)
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
CHUNK_BYTES = 64 * 1024
TIMED_OUT = re.compile(r"time[ds]?[ -]?out", re.IGNORECASE)


class WhatsappBridge:
    """The channel `whatsapp_bridge`; `http` is shared with other providers and closed by its owner."""

    window: timedelta | None = None
    lane_endings: Mapping[IdentityKind, str] = MappingProxyType(
        {IdentityKind.PHONE: "@s.whatsapp.net", IdentityKind.LID: "@lid"}
    )

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
        addressed = {"to": to, "idempotencyKey": key, "tenantId": account.tenant}
        answer = await self._post(account, "send", *body_of(outgoing, account, addressed))
        if answer.status_code >= FIRST_REDIRECT:
            _raise_refusal(answer, account)
        message_id = usable_id(json_object(answer).get("messageId"))
        if answer.status_code != OK or message_id is None:
            raise ProviderUnknownError(
                f"{name_of(account)} answered without a message id: it may have been sent",
                account=id_of(account),
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
        answer = await self._post(account, "sendTyping", json.dumps(body).encode())
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
                refuse_unless_there(answer, account, name=name_of(account))
                chunks, size = answer.aiter_bytes(CHUNK_BYTES), count_of(answer.headers.get("content-length"))
                if key is not None:
                    chunks, size = opened(chunks, key, EventKind(media.get("kind", "document"))), None
                mimetype = answer.headers.get("content-type", "application/octet-stream")
                yield IncomingFile(mimetype, size, chunks)
        except (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL) as error:
            raise ProviderDownError(
                f"{name_of(account)}: the file broke off ({type(error).__name__})", account=id_of(account)
            ) from error

    async def _post(
        self, account: ChannelAccount, verb: str, content: bytes | AsyncIterator[bytes], size_bytes: int = 0
    ) -> httpx.Response:
        # A kept connection that the bridge has just closed would leave us guessing whether it was sent.
        told = {
            "Connection": "close",
            "Content-Type": "application/json",
            "X-Internal-Secret": account.secret,
        }
        if size_bytes:
            told["Content-Length"] = str(size_bytes)
        headers = httpx.Headers(told, encoding="utf-8")
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                return await self._http.post(
                    _url(account, verb), content=content, headers=headers, timeout=TIMEOUT
                )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ProviderDownError(
                f"{name_of(account)} cannot be reached: is it running?", account=id_of(account)
            ) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise ProviderRefusedError(
                f"{name_of(account)} has an address or a secret that cannot be used:"
                " connect the channel again",
                account=id_of(account),
            ) from error
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
            raise ProviderUnknownError(
                f"{name_of(account)} broke off before it answered, and may have sent the message"
                f" ({type(error).__name__})",
                account=id_of(account),
            ) from error


def _url(account: ChannelAccount, verb: str) -> str:
    """Return a verb's address; raise InvalidURL for what an HTTP client would stumble over later."""
    url = f"{account.base_url.rstrip('/')}/{verb}"
    try:
        parts = urlsplit(url)
        # httpx reads `xn--` names as what they stand for, and fails where they stand for nothing.
        usable = parts.scheme in {"http", "https"} and httpx.URL(url).host and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise httpx.InvalidURL("not an address to send to")
    return url


def _raise_refusal(answer: httpx.Response, account: ChannelAccount) -> None:
    """Raise what an answer of 300 or more means; only the bridge's own word proves that nothing was sent."""
    status, name = answer.status_code, name_of(account)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise ProviderBusyError(
            f"{name} asks to slow down", retry_after_s=retry_after_s(answer), account=id_of(account)
        )
    if status == httpx.codes.REQUEST_TIMEOUT:
        raise ProviderDownError(f"{name} did not receive the whole message", account=id_of(account))
    if status < FIRST_REFUSAL:
        raise ProviderRefusedError(
            f"{name} moved elsewhere: check the channel's address", account=id_of(account)
        )
    if status < FIRST_FAULT:
        words = REFUSALS.get(status, f"refused the message (status {status})")
        raise ProviderRefusedError(f"{name} {words}", account=id_of(account))
    if _says_not_sent(answer):
        raise ProviderDownError(
            f"{name} could not send just now: is WhatsApp connected?", account=id_of(account)
        )
    raise ProviderUnknownError(
        f"{name} failed with status {status}: it may have been sent", account=id_of(account)
    )


def _says_not_sent(answer: httpx.Response) -> bool:
    body = json_object(answer)
    if answer.status_code == UNAVAILABLE:
        return isinstance(body.get("error"), str)
    # The bridge's own time limit ends its waiting, not WhatsApp's sending.
    timed_out = TIMED_OUT.search(str(body.get("message", "")))
    return answer.status_code == FIRST_FAULT and body.get("error") == "send_failed" and not timed_out
