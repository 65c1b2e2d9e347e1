"""Fetching files from the addresses that a business's own programs name."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from server.errors import ProviderBusyError, ProviderDownError, ProviderRefusedError
from server.ports import IncomingFile
from server.providers.loose_json import count_of

TOTAL_TIMEOUT_S = 120.0
TIMEOUT = httpx.Timeout(20.0, connect=5.0)
CHUNK_BYTES = 64 * 1024
# So many of one business's files are fetched at once, from one process: slow addresses keep the worker's
# other places free.
AT_ONCE = 4
WAIT_S = 2.0
MOST_REDIRECTS = 5
FIRST_FAULT = 500
# What may be had a moment later all the same.
LATER = frozenset({408, 425, 429})


class HttpLinkedFiles:
    """Fetches through a client whose transport is guarded, so that every redirect is looked at too."""

    def __init__(self, http: httpx.AsyncClient, *, timeout_s: float = TOTAL_TIMEOUT_S) -> None:
        self._http = http
        self._timeout_s = timeout_s
        self._opened: Counter[str] = Counter()

    @asynccontextmanager
    async def open(self, url: str, *, name: str) -> AsyncIterator[IncomingFile]:
        """Fetch a file; `name` is whose. Raises a ProviderError, Refused where asking again is no use."""
        if self._opened[name] >= AT_ONCE:
            raise ProviderBusyError("other files of this business are on their way", retry_after_s=WAIT_S)
        self._opened[name] += 1
        try:
            async with asyncio.timeout(self._timeout_s), self._answer(url, MOST_REDIRECTS) as answer:
                yield IncomingFile(
                    mimetype=answer.headers.get("content-type", "application/octet-stream")[:200],
                    size_bytes=count_of(answer.headers.get("content-length")),
                    chunks=answer.aiter_raw(CHUNK_BYTES),
                )
        except TimeoutError as error:
            raise ProviderDownError(f"the file did not come within {self._timeout_s:g} seconds") from error
        except httpx.InvalidURL as error:
            raise ProviderRefusedError("the file's address is none") from error
        except httpx.HTTPError as error:
            raise ProviderDownError(f"the file broke off ({type(error).__name__})") from error
        finally:
            self._opened[name] -= 1
            if not self._opened[name]:
                del self._opened[name]

    @asynccontextmanager
    async def _answer(self, url: str | httpx.URL, redirects: int) -> AsyncIterator[httpx.Response]:
        # The limit is on what is kept: what arrives packed could be any size once it is unpacked.
        told = {"accept-encoding": "identity"}
        async with self._http.stream("GET", url, headers=told, timeout=TIMEOUT) as answer:
            onward = answer.next_request
            if onward is None:
                _require_file(answer)
                yield answer
                return
        if not redirects:
            raise ProviderRefusedError("the file's address leads on and on")
        if onward.url.scheme not in {"http", "https"}:
            raise ProviderRefusedError("the file's address leads to what is no web address")
        async with self._answer(onward.url, redirects - 1) as found:
            yield found


def _require_file(answer: httpx.Response) -> None:
    status = answer.status_code
    if status >= FIRST_FAULT or status in LATER:
        raise ProviderDownError(f"the file's address answered with status {status}")
    if status != httpx.codes.OK:
        raise ProviderRefusedError(f"the file's address answered with status {status}")
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise ProviderRefusedError("the file's address sends it packed only")
