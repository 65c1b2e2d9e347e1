"""httpx's requests over aiohttp's connections, at a fraction of the CPU (docs/decisions/0033).

Providers read from an error whether a message may have gone out. httpx.ConnectError, ConnectTimeout and
PoolTimeout say that no byte of it left; every error of a connection that stood says something else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import lru_cache

import aiohttp
import httpx

from server.providers.aiohttp_pool import Pool
from server.providers.aiohttp_request import Pieces, body_of, headers_of, url_of

# httpx has set them already; aiohttp would add its own.
AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
# Vendors tell their limits in headers of several kilobytes; aiohttp's own 8 KB are for browsers.
MOST_HEADER_BYTES = 32 * 1024

SWITCHING_PROTOCOLS = 101


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends what an `httpx.AsyncClient` hands it, over at most so many connections at once."""

    def __init__(self, *, most_connections: int, idle_s: float) -> None:
        self._most_connections = most_connections
        self._idle_s = idle_s
        self._opened: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request once; raise what httpx's own transport would."""
        timeout = request.extensions.get("timeout", {})
        url, headers = url_of(request), headers_of(request)
        with in_httpx_words():
            async with asyncio.timeout(None) as deadline:
                body = body_of(request, deadline)
                try:
                    answer = await self._session().request(
                        request.method,
                        url,
                        headers=headers,
                        data=body,
                        allow_redirects=False,
                        timeout=_timeout_of(**timeout),
                        server_hostname=request.extensions.get("sni_hostname"),
                    )
                except aiohttp.ClientError as error:
                    if isinstance(body, Pieces) and body.error is not None:
                        raise body.error from error
                    raise
                if isinstance(body, Pieces):
                    body.is_answered = True
        if answer.status == SWITCHING_PROTOCOLS:
            answer.close()
            raise httpx.RemoteProtocolError("the answer is in another protocol, for which nobody asked")
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Answer(answer))

    async def aclose(self) -> None:
        """Close every connection."""
        if self._opened is not None:
            await self._opened.close()

    def _session(self) -> aiohttp.ClientSession:
        # A session belongs to the loop that runs: the client may be made before there is one.
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=Pool(most_connections=self._most_connections, idle_s=self._idle_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=AUTOMATIC,
                max_line_size=MOST_HEADER_BYTES,
                max_field_size=MOST_HEADER_BYTES,
            )
            # Whether anything is sent again is decided by jobs, which know what it would do.
            self._opened._retry_connection = False  # noqa: SLF001 -- aiohttp has no other way; a test holds it
        return self._opened


class _Answer(httpx.AsyncByteStream):
    """The body of an answer; closing it before its end closes the connection."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with in_httpx_words():
            async for chunk in self._answer.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        self._answer.close()


@contextmanager
def in_httpx_words() -> Iterator[None]:
    """Raise httpx's errors for aiohttp's; the more exact ones stand first."""
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(str(error)) from error
    except aiohttp.ConnectionTimeoutError as error:
        # Connecting itself has its own, shorter time, in the pool.
        raise httpx.PoolTimeout("no connection became free in time") from error
    except aiohttp.ServerTimeoutError as error:
        raise httpx.ReadTimeout(str(error)) from error
    except TimeoutError as error:
        raise httpx.WriteTimeout("the other side does not read what is sent") from error
    except aiohttp.InvalidURL as error:
        raise httpx.InvalidURL(str(error)) from error
    except aiohttp.ClientConnectionResetError as error:
        raise httpx.WriteError(str(error)) from error
    except (
        aiohttp.ServerDisconnectedError,
        aiohttp.ClientResponseError,
        aiohttp.ClientPayloadError,
    ) as error:
        raise httpx.RemoteProtocolError(f"no whole answer came ({type(error).__name__})") from error
    except aiohttp.ClientError as error:
        raise httpx.ReadError(str(error)) from error


@lru_cache(maxsize=64)
def _timeout_of(
    *,
    connect: float | None = None,
    read: float | None = None,
    write: float | None = None,  # noqa: ARG001 -- kept by Pieces: aiohttp knows none
    pool: float | None = None,
) -> aiohttp.ClientTimeout:
    either = None if connect is None or pool is None else connect + pool
    return aiohttp.ClientTimeout(total=None, connect=either, sock_connect=connect, sock_read=read)
