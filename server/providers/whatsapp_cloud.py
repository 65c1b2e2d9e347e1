"""WhatsApp through Meta's Cloud API.

A message is a POST that is not idempotent: whatever may have reached Meta is never sent a second
time, and the key that travels along as `biz_opaque_callback_data` comes back with its statuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

import httpx
import orjson

from server.errors import ProviderDownError, ProviderRefusedError, ProviderUnknownError
from server.ports import (
    Accepted,
    ChannelAccount,
    ChannelEvent,
    IdentityKind,
    IncomingFile,
    Json,
    ListedTemplate,
    Outgoing,
    OutgoingMedia,
    RawEvent,
)
from server.providers.answers import json_object, refuse_unless_there
from server.providers.loose_json import list_of, long_of, object_of, text_of
from server.providers.raw_events import usable_id
from server.providers.streams import form_with
from server.providers.whatsapp_cloud_errors import error_of
from server.providers.whatsapp_cloud_files import may_hold_files
from server.providers.whatsapp_cloud_messages import LONGEST_KEY, message_of, recipient_of
from server.providers.whatsapp_cloud_reading import read
from server.providers.whatsapp_cloud_splitting import split
from server.providers.whatsapp_cloud_templates import EndlessListError, read_pages

TOTAL_TIMEOUT_S = 30.0
UPLOAD_TIMEOUT_S = 120.0
# Who finds no free connection is told so before the whole time is up: then nothing can have been sent.
TIMEOUT = httpx.Timeout(TOTAL_TIMEOUT_S, connect=5.0, pool=20.0)
FIRST_REDIRECT = 300
CHUNK_BYTES = 64 * 1024


class WhatsappCloud:
    """The channel `whatsapp_cloud`; `http` is shared with other providers and closed by its owner.

    `base_url` is the address of Meta's Graph API without its version, such as `https://graph.facebook.com`.
    """

    window: timedelta | None = timedelta(hours=24)
    lane_endings: Mapping[IdentityKind, str] = MappingProxyType(
        {IdentityKind.BUSINESS_SCOPED_ID: "", IdentityKind.PHONE: ""}
    )

    def __init__(self, http: httpx.AsyncClient, *, base_url: str, version: str) -> None:
        self._http = http
        self._root = f"{base_url.rstrip('/')}/{version}"

    def split(self, payload: Json) -> Sequence[RawEvent]:
        """Cut a webhook's whole body into events; a bad one comes back with its reason."""
        return split(payload)

    def read(self, payload: Json) -> ChannelEvent:
        """Read one event that `split` cut out; never raises."""
        return read(payload)

    async def send(self, account: ChannelAccount, outgoing: Outgoing, *, to: str, key: str) -> Accepted:
        """Send one thing; `key` comes back with the statuses of the message."""
        file = outgoing if isinstance(outgoing, OutgoingMedia) else getattr(outgoing, "file", None)
        media_id = "" if file is None else await self._upload(account, file)
        body = recipient_of(to, account) | message_of(outgoing, media_id)
        if len(key) <= LONGEST_KEY:
            body["biz_opaque_callback_data"] = key
        answer = await self._post(account, body)
        found = object_of(next(iter(list_of(json_object(answer).get("messages"))), None))
        message_id = usable_id(found.get("id"))
        if message_id is None:
            raise ProviderUnknownError(
                f"{_name(account)}: Meta answered without a message id: it may have been sent",
                account=_id(account),
            )
        return Accepted(message_id)

    def address_of(self, phone: str) -> str:
        """Return a phone as Meta names it, its digits alone."""
        return phone.removeprefix("+")

    async def show_reading(
        self,
        account: ChannelAccount,
        *,
        to: str,  # noqa: ARG002 -- Meta finds the chat by the message
        message_id: str,
    ) -> None:
        """Mark a message as read, and show that an answer is being written."""
        read_mark = {"messaging_product": "whatsapp", "status": "read", "message_id": message_id}
        await self._post(account, read_mark | {"typing_indicator": {"type": "text"}})

    async def list_templates(self, account: ChannelAccount) -> Sequence[ListedTemplate]:
        """Return the templates of the business account that the number belongs to, all pages."""
        waba_id = str(account.settings.get("waba_id") or "")
        if not waba_id.isdecimal():
            raise ProviderRefusedError(
                f"{_name(account)}: enter the WhatsApp Business Account ID", account=_id(account)
            )
        try:
            return [
                one async for one in read_pages(partial(self.ask, account, f"{waba_id}/message_templates"))
            ]
        except EndlessListError as error:
            raise ProviderDownError(
                f"{_name(account)}: Meta lists templates without an end", account=_id(account)
            ) from error

    def open_file(self, account: ChannelAccount, media: Json) -> AbstractAsyncContextManager[IncomingFile]:
        """Fetch a file by Meta's id; the address that it lives at is asked for anew each time."""
        return self._open_file(account, media)

    async def ask(self, account: ChannelAccount, path: str, **query: str) -> dict[str, Any]:
        """Return what the API says of an object, such as a file or a page of templates."""
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                answer = await self._http.get(
                    f"{self._root}/{path}", params=query, headers=_bearer(account), timeout=TIMEOUT
                )
        except (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL, TimeoutError) as error:
            raise ProviderDownError(
                f"{_name(account)}: Meta cannot be reached ({type(error).__name__})", account=_id(account)
            ) from error
        if answer.status_code >= FIRST_REDIRECT:
            raise _idempotent(error_of(answer, account, name=_name(account)))
        return json_object(answer)

    @asynccontextmanager
    async def _open_file(self, account: ChannelAccount, media: Json) -> AsyncIterator[IncomingFile]:
        media_id = usable_id(media.get("id"))
        if media_id is None or not media_id.isalnum():
            raise ProviderRefusedError(f"{_name(account)}: the file has no id", account=_id(account))
        told = await self.ask(account, media_id, phone_number_id=account.account_id)
        url = text_of(told.get("url")) or ""
        if not may_hold_files(url, self._root):
            raise ProviderRefusedError(
                f"{_name(account)}: Meta named an address for the file that is not Meta's",
                account=_id(account),
            )
        try:
            async with self._http.stream("GET", url, headers=_bearer(account), timeout=TIMEOUT) as answer:
                refuse_unless_there(answer, account, name=_name(account))
                yield IncomingFile(
                    mimetype=text_of(told.get("mime_type")) or "application/octet-stream",
                    size_bytes=long_of(told.get("file_size")),
                    chunks=answer.aiter_bytes(CHUNK_BYTES),
                )
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise ProviderDownError(
                f"{_name(account)}: the file broke off ({type(error).__name__})", account=_id(account)
            ) from error

    async def _upload(self, account: ChannelAccount, media: OutgoingMedia) -> str:
        """Return Meta's id of a file; nothing is sent to anybody yet, so any failure may be tried again."""
        headers, body = form_with(media, {"messaging_product": "whatsapp", "type": media.mimetype})
        try:
            async with asyncio.timeout(UPLOAD_TIMEOUT_S):
                answer = await self._http.post(
                    f"{self._root}/{account.account_id}/media",
                    content=body,
                    headers=_bearer(account) | headers,
                    timeout=httpx.Timeout(UPLOAD_TIMEOUT_S, connect=5.0),
                )
        except (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL, TimeoutError) as error:
            raise ProviderDownError(
                f"{_name(account)}: the file could not be handed to Meta ({type(error).__name__})",
                account=_id(account),
            ) from error
        if answer.status_code >= FIRST_REDIRECT:
            raise _idempotent(error_of(answer, account, name=_name(account)))
        media_id = usable_id(json_object(answer).get("id"))
        if media_id is None:
            raise ProviderDownError(f"{_name(account)}: Meta gave the file no id", account=_id(account))
        return media_id

    async def _post(self, account: ChannelAccount, body: Mapping[str, object]) -> httpx.Response:
        try:
            # A kept connection that Meta has just closed would leave us guessing whether it was sent.
            headers = _bearer(account) | {"Connection": "close", "Content-Type": "application/json"}
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                answer = await self._http.post(
                    f"{self._root}/{account.account_id}/messages",
                    content=orjson.dumps(body),
                    headers=headers,
                    timeout=TIMEOUT,
                )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ProviderDownError(
                f"{_name(account)}: Meta cannot be reached", account=_id(account)
            ) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise ProviderRefusedError(
                f"{_name(account)} has an access token or an address that cannot be used: enter it again",
                account=_id(account),
            ) from error
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
            raise ProviderUnknownError(
                f"{_name(account)}: Meta broke off before it answered, and may have sent the message"
                f" ({type(error).__name__})",
                account=_id(account),
            ) from error
        if answer.status_code >= FIRST_REDIRECT:
            raise error_of(answer, account, name=_name(account))
        return answer


def _idempotent(error: Exception) -> Exception:
    """Return an error of a request that changes nothing: not to know its end is no harm."""
    if isinstance(error, ProviderUnknownError):
        return ProviderDownError(str(error), account=error.account)
    return error


def _bearer(account: ChannelAccount) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.secret}"}


def _name(account: ChannelAccount) -> str:
    return f"The WhatsApp number of business {account.business_id}"


def _id(account: ChannelAccount) -> str:
    return str(account.channel_id)
