"""What aiohttp is to send for a request of httpx: the same bytes that httpx's own transport would write."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from types import TracebackType

import httpx
from multidict import CIMultiDict
from yarl import URL

# A length that httpx knows is in Content-Length; for any other, aiohttp writes this header itself.
CHUNKED = b"transfer-encoding"
FORBIDDEN = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# What fits into a socket's buffers never waits for the other side. All else goes in pieces.
SMALL_BYTES = 64 * 1024
PIECE_BYTES = 256 * 1024


def url_of(request: httpx.Request) -> URL:
    """Return where a request goes; raise UnsupportedProtocol or InvalidURL for what is no address."""
    url = request.url
    if url.scheme not in {"http", "https"} or not url.raw_host:
        raise httpx.UnsupportedProtocol("an address must begin with http:// or https:// and name a host")
    try:
        # A name and a password in the address have become a header already.
        return URL(f"{url.scheme}://{url.netloc.decode()}{url.raw_path.decode()}", encoded=True)
    except ValueError as error:
        raise httpx.InvalidURL(str(error)) from error


def headers_of(request: httpx.Request) -> CIMultiDict[str]:
    """Return a request's headers; raise LocalProtocolError for what would break out of its line."""
    raw = request.headers.raw
    if FORBIDDEN.search(b" ".join([part for pair in raw for part in pair])):
        raise httpx.LocalProtocolError("a header holds a control character")
    try:
        told = [(name.decode(), value.decode()) for name, value in raw if name.lower() != CHUNKED]
    except UnicodeDecodeError as error:
        raise httpx.LocalProtocolError("a header is not UTF-8") from error
    return CIMultiDict(told)


class Pieces:
    """A body in pieces, within its time, and as long as it was said to be.

    `deadline` ends a send that the other side does not take in. `error` is what the body's source raised;
    once `is_answered`, what is left goes out without a limit of its own.
    """

    def __init__(
        self, stream: httpx.AsyncByteStream, request: httpx.Request, deadline: asyncio.Timeout
    ) -> None:
        self.error: Exception | None = None
        self.is_answered = False
        self._stream = stream
        self._told = request.headers.get("content-length")
        self._deadline = deadline
        timeout = request.extensions.get("timeout", {})
        self._write_s, read_s = timeout.get("write"), timeout.get("read")
        # What is buffered at the end must still be taken in; then the time to read counts.
        self._last_s = None if self._write_s is None or read_s is None else self._write_s + read_s

    def __enter__(self) -> None:
        """Keep what is raised: aiohttp would pass on a sentence about it."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        """Keep an error, and let it pass."""
        self.error = error if isinstance(error, Exception) else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sent, told = 0, None if self._told is None else int(self._told)
        with self:
            async for piece in _pieces_of(self._stream):
                sent += len(piece)
                if told is not None and sent > told:
                    # All that was said may be there already: nobody knows what the other side does with it.
                    raise httpx.WriteError("the body is longer than its Content-Length")
                self._allow(self._write_s)
                yield piece
                self._allow(None)
            if told is not None and sent < told:
                raise httpx.LocalProtocolError("the body is shorter than its Content-Length")
        self._allow(self._last_s)

    def _allow(self, seconds: float | None) -> None:
        if not self.is_answered:
            now = asyncio.get_running_loop().time()
            self._deadline.reschedule(None if seconds is None else now + seconds)


def body_of(request: httpx.Request, deadline: asyncio.Timeout) -> bytes | Pieces | None:
    """Return a request's body: whole where it is small."""
    stream = request.stream
    if not isinstance(stream, httpx.AsyncByteStream):
        raise TypeError("an asynchronous client cannot send a body that blocks")
    if isinstance(stream, httpx.ByteStream) and len(request.content) <= SMALL_BYTES:
        return request.content or None
    return Pieces(stream, request, deadline)


async def _pieces_of(stream: httpx.AsyncByteStream) -> AsyncIterator[bytes]:
    async for chunk in stream:
        for start in range(0, len(chunk), PIECE_BYTES):
            yield chunk[start : start + PIECE_BYTES]
