"""The guard before addresses that customers chose: what it lets through, and where it connects to."""

from __future__ import annotations

import httpx
import pytest

from server.errors import ProviderDownError, ProviderRefusedError, StartRefusedError
from server.providers.connections import open_guarded_connections
from server.providers.guarding import Allowed, GuardedTransport
from tests.providers.raw_server import raw_server

INSIDE = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.127.255.255", "192.0.0.8"),
    *("192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.2.3", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::a00:1"),
    *("2002:7f00:1::", "2002:a00:1::", "2001:db8::1", "fec0::1", "fd00:ec2::254", "100::1"),
    *("::127.0.0.1", "::10.0.0.1", "64:ff9b:1::a00:1", "192.88.99.1"),
]
OUTSIDE = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "2606:4700::1111",
    "2a00:1450::1",
]


def transport(*addresses: str, allowed: str = "") -> GuardedTransport:
    async def resolve_host(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return GuardedTransport(Allowed.parse(allowed), resolve_host=resolve_host)


@pytest.mark.parametrize("address", INSIDE)
async def test_no_address_inside_is_called(address):
    with pytest.raises(ProviderRefusedError, match="private network"):
        await transport(address).choose("n8n.example", 443)


@pytest.mark.parametrize("address", OUTSIDE)
async def test_an_address_of_the_open_internet_is_called(address):
    assert await transport(address).choose("n8n.example", 443) == address


async def test_one_address_inside_among_several_forbids_them_all():
    with pytest.raises(ProviderRefusedError):
        await transport("1.1.1.1", "10.0.0.1").choose("n8n.example", 443)


async def test_a_name_that_leads_nowhere_may_lead_somewhere_later():
    with pytest.raises(ProviderDownError):
        await transport().choose("n8n.example", 443)


@pytest.mark.parametrize(
    ("allowed", "host", "address"),
    [
        ("10.1.0.0/16", "n8n.example", "10.1.2.3"),
        ("10.1.2.3", "n8n.example", "10.1.2.3"),
        ("n8n.example", "n8n.example", "10.1.2.3"),
        ("other.example, N8N.example:5678", "n8n.example", "::1"),
        ("fd00::/8", "n8n.example", "fd12::1"),
    ],
)
async def test_what_the_operator_names_is_called(allowed, host, address):
    assert await transport(address, allowed=allowed).choose(host, 5678) == address


@pytest.mark.parametrize("allowed", ["10.1.0.0/16", "n8n.example:5679", "8n.example", "example"])
async def test_what_the_operator_did_not_name_is_not_called(allowed):
    with pytest.raises(ProviderRefusedError):
        await transport("10.2.0.1", allowed=allowed).choose("n8n.example", 5678)


@pytest.mark.parametrize("allowed", ["10.0.0.0/99", "http://n8n.example", ":80", "n8n.example:http"])
def test_an_allow_list_that_cannot_be_read_is_refused_at_the_start(allowed):
    with pytest.raises(StartRefusedError, match="WEBHOOKS_ALLOWED_HOSTS"):
        Allowed.parse(allowed)


async def test_the_address_that_was_looked_at_is_the_one_that_is_called(raw):
    """A name that leads to a public address first and inside a moment later: it is asked once."""
    raw.says(200, b"")
    port = int(raw.url.rpartition(":")[2])
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    asked: list[str] = []

    async def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers.pop(0)

    guarded = GuardedTransport(Allowed.parse("127.0.0.1/32"), resolve_host=rebinding)
    async with httpx.AsyncClient(transport=guarded) as http:
        answer = await http.post(f"http://n8n.example:{port}/hook", content=b"{}")

    assert answer.status_code == 200
    assert asked == ["n8n.example"]
    assert f"host: n8n.example:{port}" in raw.heads[0]


async def test_a_redirect_leads_nowhere(raw):
    raw.says(302, b"", location="http://169.254.169.254/latest")
    async with open_guarded_connections("127.0.0.1") as http:
        answer = await http.post(f"{raw.url}/hook", content=b"{}")

    assert answer.status_code == 302
    assert len(raw.bodies) == 1


async def test_a_proxy_of_the_environment_is_not_asked(raw, monkeypatch):
    raw.says(200, b"")
    async with raw_server() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        async with open_guarded_connections("127.0.0.1") as http:
            await http.post(f"{raw.url}/hook", content=b"{}")

        assert (len(raw.bodies), len(proxy.bodies)) == (1, 0)


async def test_without_an_allow_list_this_machine_is_not_called(raw):
    async with open_guarded_connections("") as http:
        with pytest.raises(ProviderRefusedError):
            await http.post(f"{raw.url}/hook", content=b"{}")

    assert raw.bodies == []
