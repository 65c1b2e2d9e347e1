"""A request does not cross the close of a connection that lay idle."""

from __future__ import annotations

import asyncio

import pytest

from server.providers import whatsapp_bridge, whatsapp_cloud
from server.providers.aiohttp_transport import AiohttpTransport
from server.providers.connections import IDLE_S, open_connections
from tests.providers.raw_server import raw_server

NODE_CLOSES_IDLE_AFTER_S = 5.0
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class ClosingServer:
    """Hangs up on any request but the first of a connection, as if its idle time had just run out."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await reader.read(1)
        writer.close()


@pytest.fixture
async def closing():
    closing = ClosingServer()
    server = await asyncio.start_server(closing.serve, "127.0.0.1", 0)
    closing.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield closing
    server.close()


async def test_a_connection_is_let_go_well_before_a_node_server_closes_it(closing):
    assert IDLE_S <= NODE_CLOSES_IDLE_AFTER_S / 2
    async with open_connections() as http:
        await http.post(closing.url, timeout=5)
        # Nothing is waited for here: to lie idle for so long is what is tested.
        await asyncio.sleep(IDLE_S * 1.1)

        answer = await http.post(closing.url, timeout=5)

    assert (answer.status_code, closing.connections) == (200, 2)


async def test_the_environment_s_proxy_is_asked_but_for_those_who_need_none(raw, monkeypatch):
    async with raw_server() as proxy:
        for server in (proxy, raw):
            server.says(200, b"")
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with open_connections() as http:
            await http.post("http://provider.invalid/send", timeout=5)
            await http.post(f"{raw.url}/send", timeout=5)

    assert [head.split("\r\n")[0] for head in proxy.heads] == ["post http://provider.invalid/send http/1.1"]
    assert [head.split("\r\n")[0] for head in raw.heads] == ["post /send http/1.1"]


async def test_a_proxy_for_other_things_changes_nothing(monkeypatch):
    monkeypatch.setenv("ftp_proxy", "http://127.0.0.1:1")
    async with open_connections() as http:
        assert isinstance(http._transport, AiohttpTransport)


@pytest.mark.parametrize("channel", [whatsapp_bridge, whatsapp_cloud])
async def test_a_message_that_finds_no_free_connection_is_proved_unsent_before_its_time_is_up(channel):
    assert channel.TIMEOUT.pool + channel.TIMEOUT.connect < channel.TOTAL_TIMEOUT_S
