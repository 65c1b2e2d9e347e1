"""Calling addresses that customers chose, and nothing else: the guard against reaching inside.

A name is resolved here, every address that it has is looked at, and the connection goes to one that was
looked at: a name that leads elsewhere a moment later leads nowhere (OWASP, "SSRF Prevention").
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from server.errors import ProviderDownError, ProviderRefusedError, StartRefusedError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

# Beside what Python's table calls not global: shared by carriers, translated, or never a host's own. `::/96`
# has IPv4 addresses in it, and a house that translates by itself does so under 64:ff9b:1::/48 (RFC 8215).
NEVER = tuple(
    ipaddress.ip_network(one)
    for one in (
        *("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15"),
        *("::/96", "64:ff9b:1::/48", "100::/64", "fec0::/10"),
    )
)
NAT64 = ipaddress.ip_network("64:ff9b::/96")
LAST_32 = (1 << 32) - 1


@dataclass(frozen=True)
class Allowed:
    """What an installation's operator allows all the same: networks, and hosts with a port or any."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[tuple[str, int | None]] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Allowed:
        """Read `n8n.local, 10.1.0.0/16, 127.0.0.1:5678`; raise StartRefusedError for what is neither."""
        networks: list[Network] = []
        hosts: set[tuple[str, int | None]] = set()
        for told in filter(None, (part.strip().lower() for part in text.split(","))):
            try:
                networks.append(ipaddress.ip_network(told, strict=False))
            except ValueError:
                hosts.add(_host_and_port(told))
        return cls(tuple(networks), frozenset(hosts))

    def has_host(self, host: str, port: int) -> bool:
        """Tell whether a host is allowed by its name, wherever that leads."""
        return not self.hosts.isdisjoint({(host.lower(), None), (host.lower(), port)})

    def has(self, address: Address) -> bool:
        """Tell whether an address is in an allowed network."""
        return any(address in network for network in self.networks)


def _host_and_port(told: str) -> tuple[str, int | None]:
    host, colon, port = told.rpartition(":")
    if not colon:
        host, port = told, ""
    is_port = not colon or (port.isascii() and port.isdigit())
    if not host or "/" in host or not is_port:
        raise StartRefusedError(
            f"WEBHOOKS_ALLOWED_HOSTS is not valid: {told} is no host, host:port or network."
        )
    return host.strip("[]"), int(port) if colon else None


def is_public(address: Address) -> bool:
    """Tell whether an address, and any other that it stands for, belongs to the open internet."""
    if address.is_multicast or not address.is_global or any(address in network for network in NEVER):
        return False
    return all(is_public(inner) for inner in _stands_for(address))


def _stands_for(address: Address) -> list[Address]:
    """Return the addresses that are written into one: mapped, translated or tunnelled."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    inner: list[Address | None] = [address.ipv4_mapped, address.sixtofour]
    inner += list(address.teredo or ())
    if address in NAT64:
        inner.append(ipaddress.IPv4Address(int(address) & LAST_32))
    return [one for one in inner if one is not None]


def port_of(url: httpx.URL) -> int:
    """Return the port that an address leads to."""
    return url.port or (443 if url.scheme == "https" else 80)


async def resolve(host: str, port: int) -> list[str]:
    """Return every address of a host, as the system knows it."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(where[0]) for *_, where in found]


class GuardedTransport(httpx.AsyncBaseTransport):
    """Connects to public addresses alone; Host and the certificate's name stay those of the address book.

    No connection is used twice: the next request may be another business's.
    """

    def __init__(self, allowed: Allowed, *, resolve_host: Resolve = resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve_host
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the address that was looked at.

        Raises ProviderRefusedError for one that is not public, ProviderDownError for a name without one.
        """
        host = request.url.host
        address = await self.choose(host, port_of(request.url))
        # Host is in the headers already; the certificate is asked for, and checked against, the name. The
        # request itself keeps the name too: a redirect that names no host leads back to it.
        looked_at = httpx.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return await self._inner.handle_async_request(looked_at)

    async def choose(self, host: str, port: int) -> str:
        """Return the address to connect to; one that may not be called among several forbids them all."""
        try:
            found = [ipaddress.ip_address(one.partition("%")[0]) for one in await self._resolve(host, port)]
        except (OSError, UnicodeError, ValueError):
            found = []
        if not found:
            raise ProviderDownError("the name of this address cannot be found")
        if not self._allowed.has_host(host, port):
            for address in found:
                if not (is_public(address) or self._allowed.has(address)):
                    raise ProviderRefusedError(
                        "this address leads into a private network: use a public one, or ask the operator"
                        " to name it in WEBHOOKS_ALLOWED_HOSTS"
                    )
        return str(found[0])

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()


class GuardedClient(httpx.AsyncClient):
    """A client for addresses that customers chose; `guard` says of each whether it may be called.

    No proxy of the environment's: it would connect in our place, past the guard.
    """

    def __init__(self, guard: GuardedTransport) -> None:
        super().__init__(transport=guard, follow_redirects=False, trust_env=False)
        self.guard = guard
