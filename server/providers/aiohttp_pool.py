"""aiohttp's pool of connections, held to what httpx's own kept: nothing is sent over a spent one."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING

import aiohttp
import httpx

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


class Pool(aiohttp.TCPConnector):
    """So many connections at once; one that lies idle for `idle_s` is used no more."""

    def __init__(self, *, most_connections: int, idle_s: float) -> None:
        context = httpx.create_ssl_context()
        context.set_alpn_protocols(["http/1.1"])
        super().__init__(limit=most_connections, keepalive_timeout=idle_s, ssl=context)

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- aiohttp's own shape
    ) -> Connection:
        """Return a connection, which is not kept if the request asks for that."""
        connection = await super().connect(req, traces, timeout)
        # aiohttp looks at the answer alone. A server that closes without a word would meet our next request.
        if connection.protocol is not None and req.headers.get("Connection", "").lower() == "close":
            connection.protocol.force_close()
        return connection

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (kept := await super()._get(key, traces)) is not None:
            if not _is_spent(kept):
                return kept
            kept.close()
        return None

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- the same
    ) -> ResponseHandler:
        # aiohttp's own limit of this begins anew for each address, and leaves out the look-up of the name.
        try:
            async with asyncio.timeout(timeout.sock_connect):
                return await super()._create_connection(req, traces, timeout)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection was made in time") from error
        except UnicodeError as error:
            raise httpx.InvalidURL("not a host that can be looked up") from error


def _is_spent(kept: Connection) -> bool:
    """Tell whether anything came while a connection lay idle: its close, or what would pass for an answer."""
    if kept.protocol is None or kept.protocol.should_close or kept.transport is None:
        return True
    # What the loop has not seen yet. An answer to nobody would be read as the answer to the next request.
    unseen = select.poll()
    unseen.register(kept.transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(unseen.poll(0))
