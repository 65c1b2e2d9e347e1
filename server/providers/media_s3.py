"""Files of messages in a bucket of an S3-compatible storage.

A file is written to a nameless temporary file first: its size and digest must be known before it is sent,
and a process that dies leaves nothing, neither there nor, as one PUT is all or nothing, in the bucket.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import urlsplit
from uuid import UUID

import httpx

from server import clock
from server.errors import ProviderDownError
from server.providers.s3_signing import NOTHING, Signer, encoded
from server.storages import StoredFile

CHUNK_BYTES = 256 * 1024
TIMEOUT = httpx.Timeout(30.0, connect=5.0)
OK, PARTIAL, NO_CONTENT, MISSING = 200, 206, 204, 404
WRONG_KEY = 403


@dataclass(frozen=True)
class S3Bucket:
    """A bucket and the key to it; `is_in_host` where its name stands before the endpoint's."""

    endpoint: str
    region: str
    name: str
    key_id: str
    secret: str = field(repr=False)
    is_in_host: bool = False


class MediaS3:
    """A `MediaStorage`; `http` is shared with other providers and closed by its owner."""

    def __init__(self, http: httpx.AsyncClient, bucket: S3Bucket) -> None:
        self._http = http
        self._signer = Signer(bucket.key_id, bucket.secret, bucket.region)
        parts = urlsplit(bucket.endpoint.rstrip("/"))
        self._host = f"{bucket.name}.{parts.netloc}" if bucket.is_in_host else parts.netloc
        self._scheme = parts.scheme
        self._folder = parts.path if bucket.is_in_host else f"{parts.path}/{bucket.name}"

    async def put(self, business_id: int, key: UUID, chunks: AsyncIterator[bytes]) -> None:
        """Keep a file: the storage has all of it once this returns, else none."""
        with tempfile.TemporaryFile() as spooled:
            digest, size = hashlib.sha256(), 0
            async for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                spooled.write(chunk)
            spooled.seek(0)
            request = self._request(
                "PUT",
                self._path(business_id, key),
                {"content-length": str(size)},
                content_sha256=digest.hexdigest(),
                content=_chunks_of(spooled),
            )
            answer = await self._send(request)
            await answer.aclose()
        _require(answer, OK)

    @asynccontextmanager
    async def open(
        self, business_id: int, key: UUID, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[StoredFile]:
        """Read a file from byte `start` up to `end`; KeyError where there is none."""
        wanted = {"range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end else {}
        request = self._request("GET", self._path(business_id, key), wanted)
        answer = await self._send(request)
        try:
            if answer.status_code == MISSING:
                raise KeyError(key)
            _require(answer, OK, PARTIAL)
            yield StoredFile(_whole_size(answer), _body_of(answer))
        finally:
            await answer.aclose()

    async def remove(self, business_id: int, key: UUID) -> None:
        """Remove a file; one that is gone is fine."""
        answer = await self._send(self._request("DELETE", self._path(business_id, key), {}))
        await answer.aclose()
        _require(answer, OK, NO_CONTENT, MISSING)

    def _path(self, business_id: int, key: UUID) -> str:
        return f"{self._folder}/{int(business_id)}/{UUID(str(key))}"

    def _request(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        *,
        content_sha256: str = NOTHING,
        content: AsyncIterator[bytes] | None = None,
    ) -> httpx.Request:
        signed = self._signer.sign(
            method,
            host=self._host,
            path=path,
            at=clock.utc_now(),
            headers=headers,
            content_sha256=content_sha256,
        )
        url = f"{self._scheme}://{self._host}{encoded(path)}"
        return self._http.build_request(
            method, url, headers=signed | {"accept-encoding": "identity"}, content=content, timeout=TIMEOUT
        )

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._http.send(request, stream=True)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise ProviderDownError(
                f"The S3 storage cannot be reached ({type(error).__name__}): check MEDIA_S3_ENDPOINT."
            ) from error


def _require(answer: httpx.Response, *statuses: int) -> None:
    if answer.status_code in statuses:
        return
    what = (
        "check MEDIA_S3_KEY, MEDIA_S3_SECRET and MEDIA_S3_BUCKET"
        if answer.status_code == WRONG_KEY
        else "try again"
    )
    raise ProviderDownError(f"The S3 storage answered with status {answer.status_code}: {what}.")


def _whole_size(answer: httpx.Response) -> int:
    """Return how large the file is, also where only a part of it was asked for (RFC 9110, §14.4)."""
    told = answer.headers.get("content-range", "").rpartition("/")[2]
    told = told or answer.headers.get("content-length", "")
    if not told.isdigit():
        raise ProviderDownError("The S3 storage does not say how large a file is.")
    return int(told)


async def _body_of(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw(CHUNK_BYTES):
            yield chunk
    except httpx.TransportError as error:
        raise ProviderDownError("The S3 storage broke off in the middle of a file.") from error


async def _chunks_of(file: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
