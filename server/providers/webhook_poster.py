"""Posting a business's events to the addresses that its owner chose."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

import httpx

from server.errors import ProviderDownError, ProviderRefusedError, ProviderUnknownError
from server.ports import Posted
from server.providers.answers import retry_after_s
from server.providers.guarding import GuardedClient, port_of

TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
# Of an answer no more is read than people are shown of it.
MOST_ANSWER_BYTES = 4096
# So many posts to one endpoint are on their way at once, from one process: one that hangs keeps the
# worker's other places free.
AT_ONCE = 5


class HttpWebhookPoster:
    """Posts through a client whose transport is guarded; follows no redirects."""

    def __init__(self, http: GuardedClient, *, timeout_s: float = TIMEOUT_S) -> None:
        self._http = http
        self._timeout_s = timeout_s
        self._posting: Counter[str] = Counter()

    def has_room(self, name: str) -> bool:
        """Tell whether another post to an endpoint may be on its way beside those that are."""
        return self._posting[name] < AT_ONCE

    async def require_public(self, url: str) -> None:
        """Look at where an address leads just now, and call nothing.

        Raises ProviderRefusedError where that is inside, ProviderDownError where it is not found in time.
        """
        try:
            asked = httpx.URL(url)
            async with asyncio.timeout(min(CONNECT_TIMEOUT_S, self._timeout_s)):
                await self._http.guard.choose(asked.host, port_of(asked))
        except httpx.InvalidURL as error:
            raise ProviderRefusedError("this is no address") from error
        except TimeoutError as error:
            raise ProviderDownError("the name of this address was not found in time") from error

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str], name: str) -> Posted:
        """Post a body and return the answer, whatever it says; raise a ProviderError without one."""
        self._posting[name] += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(url, body, headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL) as error:
            raise ProviderDownError(f"no connection: {_named(error)}") from error
        except TimeoutError as error:
            raise ProviderUnknownError(f"no answer within {self._timeout_s:g} seconds") from error
        except httpx.HTTPError as error:
            raise ProviderUnknownError(f"no answer: {_named(error)}") from error
        finally:
            self._posting[name] -= 1
            if not self._posting[name]:
                del self._posting[name]

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        timeout = httpx.Timeout(self._timeout_s, connect=min(CONNECT_TIMEOUT_S, self._timeout_s))
        async with self._http.stream(
            "POST", url, content=body, headers={**headers, "accept-encoding": "identity"}, timeout=timeout
        ) as answer:
            told = await _beginning(answer)
            wait = retry_after_s(answer) if "retry-after" in answer.headers else None
            return Posted(answer.status_code, told, wait)


async def _beginning(answer: httpx.Response) -> str:
    """Return the first of an answer as text; a body that breaks off has told enough."""
    read = b""
    try:
        async for piece in answer.aiter_raw(MOST_ANSWER_BYTES):
            read += piece
            if len(read) >= MOST_ANSWER_BYTES:
                break
    except httpx.HTTPError:
        pass
    # PostgreSQL holds no NUL.
    return read[:MOST_ANSWER_BYTES].decode(errors="replace").replace("\0", "\ufffd")


def _named(error: Exception) -> str:
    return type(error).__name__
