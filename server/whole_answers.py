"""Answers that leave whole: uvicorn writes head and body apart, and each would be a packet of its own."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class WholeAnswers(HttpToolsProtocol):
    """uvicorn's HTTP, over a transport that joins an answer's head with what follows it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection."""
        super().connection_made(Joining(transport))  # type: ignore[arg-type]


class Joining:
    """A transport that holds one chunk back until the next one comes, or the loop's turn ends."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._call_soon = asyncio.get_running_loop().call_soon
        self._held = b""
        self.is_closing = transport.is_closing

    def write(self, chunk: bytes) -> None:
        """Write with the chunk before, or hold this one: never more than one, however fast they come."""
        held, self._held = self._held, b""
        if held:
            self._transport.write(held + chunk)
        else:
            self._held = chunk
            self._call_soon(self._write_held)

    def close(self) -> None:
        """Write what is held and close."""
        self._write_held()
        self._transport.close()

    def _write_held(self) -> None:
        held, self._held = self._held, b""
        if held:
            self._transport.write(held)

    def __getattr__(self, name: str) -> Any:
        """Leave everything else to the transport."""
        return getattr(self._transport, name)
