"""The connections to providers."""

from __future__ import annotations

import httpx

from server.providers.guarding import Allowed, GuardedClient, GuardedTransport

MOST_CONNECTIONS = 200
# A Node server, as the bridge is, closes a connection after 5 idle seconds. A request that crosses that
# close ends without an answer, and nobody knows whether the message went out: we let go well before.
IDLE_S = 2.0


def open_connections() -> httpx.AsyncClient:
    """Return a client whose requests follow no redirects; each request brings its own timeout."""
    limits = httpx.Limits(max_connections=MOST_CONNECTIONS, keepalive_expiry=IDLE_S)
    return httpx.AsyncClient(follow_redirects=False, limits=limits)


def open_guarded_connections(allowed_hosts: str) -> GuardedClient:
    """Return a client for addresses that customers chose; raise StartRefusedError for a bad allow-list."""
    return GuardedClient(GuardedTransport(Allowed.parse(allowed_hosts)))
