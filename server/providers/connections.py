"""The connections to providers."""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.request import getproxies

import httpx

from server.providers.aiohttp_transport import AiohttpTransport
from server.providers.guarding import Allowed, GuardedClient, GuardedTransport

# A worker's jobs each have a model or a channel on the line, and a read mark beside it.
MOST_CONNECTIONS = 600
# A Node server, as the bridge is, closes a connection after 5 idle seconds. A request that crosses that
# close ends without an answer, and nobody knows whether the message went out: we let go well before.
IDLE_S = 2.0
PROXIED = frozenset({"all", "http", "https"})


def open_connections() -> httpx.AsyncClient:
    """Return a client whose requests follow no redirects; each request brings its own timeout."""
    # One client serves all businesses: what a provider told one of them is not for the next.
    forgetful = CookieJar(policy=DefaultCookiePolicy(allowed_domains=()))
    if PROXIED & getproxies().keys():
        # httpx's own transports know the environment's proxies, and whom to call without.
        limits = httpx.Limits(max_connections=MOST_CONNECTIONS, keepalive_expiry=IDLE_S)
        return httpx.AsyncClient(follow_redirects=False, limits=limits, cookies=forgetful)
    transport = AiohttpTransport(most_connections=MOST_CONNECTIONS, idle_s=IDLE_S)
    return httpx.AsyncClient(transport=transport, follow_redirects=False, cookies=forgetful)


def open_guarded_connections(allowed_hosts: str) -> GuardedClient:
    """Return a client for addresses that customers chose; raise StartRefusedError for a bad allow-list."""
    return GuardedClient(GuardedTransport(Allowed.parse(allowed_hosts)))
