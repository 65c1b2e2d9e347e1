"""Every way in which a request goes wrong: what httpx's error says, and how often the request went out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack

import httpx
import pytest

from server.providers.aiohttp_transport import AiohttpTransport
from tests.providers.certificates import self_signed
from tests.providers.scripted_server import (
    OK,
    Talk,
    aborting,
    answering,
    breaking_off,
    hanging,
    playing,
)

PROOF_THAT_NOTHING_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
HEAD = b"HTTP/1.1 200 OK\r\n"
BROKEN_ANSWERS = {
    "nothing": b"",
    "half a head": HEAD + b"conte",
    "half a body": HEAD + b"content-length: 10\r\n\r\nabc",
    "half a chunk": HEAD + b"transfer-encoding: chunked\r\n\r\na\r\nabc",
    "no last chunk": HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "no chunks at all": HEAD + b"transfer-encoding: chunked\r\n\r\nnot-hex\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "zeros": b"\0" * 1000,
    "a line without end": HEAD + b"x: " + b"y" * 1_000_000,
    "headers without end": HEAD + b"x: y\r\n" * 100_000,
    "a length that is no number": HEAD + b"content-length: many\r\n\r\n",
    "two lengths": HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "a status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "an upgrade": b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nabc",
    "only hints": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3,
}


@pytest.fixture
async def narrow():
    """A client with room for one request."""
    transport = AiohttpTransport(most_connections=1, idle_s=2)
    async with httpx.AsyncClient(transport=transport, timeout=5) as client:
        yield client


@pytest.mark.parametrize("answer", BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS)
async def test_a_broken_answer_never_passes_for_a_message_that_was_not_sent(http, answer):
    async with playing(breaking_off(answer)) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(server.url, content=b"hello", timeout=5)

    assert [sent.body for sent in server.sent] == [b"hello"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_a_reset_connection_is_not_tried_again(http, method):
    async with playing(aborting) as server:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await http.request(method, server.url, timeout=5)

    assert len(server.sent) == 1


async def test_an_answer_that_does_not_come_is_a_time_limit_of_reading(http):
    async with playing(hanging) as server:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(server.url, content=b"hello", timeout=httpx.Timeout(5, read=0.1))

    assert len(server.sent) == 1


async def test_a_body_that_stops_is_a_time_limit_of_reading(http):
    async def play(talk: Talk) -> None:
        await talk.take()
        talk.say(HEAD + b"content-length: 10\r\n\r\nabc")
        await talk.until_left()

    async with playing(play) as server:
        with pytest.raises(httpx.ReadTimeout):
            await http.get(server.url, timeout=httpx.Timeout(5, read=0.1))


async def test_a_server_that_takes_nothing_in_is_a_time_limit_of_writing(http):
    async def play(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(60)

    async with playing(play) as server:
        with pytest.raises(httpx.WriteTimeout):
            await http.put(server.url, content=b"x" * 50_000_000, timeout=httpx.Timeout(5, write=0.2))


async def test_a_port_where_nobody_listens_proves_that_nothing_left(http, free_port):
    with pytest.raises(httpx.ConnectError):
        await http.post(f"http://127.0.0.1:{free_port}", content=b"hello", timeout=5)


async def test_a_name_that_leads_nowhere_proves_that_nothing_left(http):
    with pytest.raises(PROOF_THAT_NOTHING_LEFT):
        await http.post("http://name.invalid/", timeout=5)


async def test_a_host_that_does_not_pick_up_proves_that_nothing_left(http):
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())

        with pytest.raises(httpx.ConnectTimeout):
            await http.post(
                f"http://127.0.0.1:{full.getsockname()[1]}", timeout=httpx.Timeout(5, connect=0.2)
            )


async def test_a_handshake_that_does_not_end_proves_that_nothing_left(http):
    async with playing(Talk.until_left) as server:
        with pytest.raises(httpx.ConnectTimeout):
            await http.post(server.url.replace("http:", "https:"), timeout=httpx.Timeout(5, connect=0.2))


@pytest.mark.parametrize("answer", [b"", OK])
async def test_a_server_without_tls_proves_that_nothing_left(http, answer):
    async def play(talk: Talk) -> None:
        await talk.reader.read(10)
        talk.say(answer)

    async with playing(play) as server:
        with pytest.raises(httpx.ConnectError):
            await http.post(server.url.replace("http:", "https:"), timeout=5)


async def test_a_certificate_that_nobody_vouches_for_proves_that_nothing_left(http, tmp_path):
    async with playing(answering(), tls=self_signed(tmp_path / "server.pem")) as server:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await http.post(server.url, content=b"secret", timeout=5)

    assert server.sent == []


async def test_a_request_that_finds_no_room_proves_that_nothing_left(narrow):
    async with playing(hanging) as server:
        first = asyncio.create_task(narrow.post(server.url, content=b"first"))
        async with asyncio.timeout(5):
            while not server.sent:
                await asyncio.sleep(0.01)

        with pytest.raises(httpx.PoolTimeout):
            await narrow.post(server.url, timeout=httpx.Timeout(5, pool=0.1, connect=0.1))

        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    assert [sent.body for sent in server.sent] == [b"first"]


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("ftp://127.0.0.1/", httpx.UnsupportedProtocol),
        ("127.0.0.1/", httpx.UnsupportedProtocol),
        ("http:///send", httpx.UnsupportedProtocol),
        (f"http://{'a' * 70}.example/", httpx.InvalidURL),
        ("http://two..dots/", httpx.InvalidURL),
        ("http://2130706433/", httpx.InvalidURL),
    ],
)
async def test_what_is_no_address_is_refused_as_such(http, url, error):
    with pytest.raises(error):
        await http.post(url, timeout=5)


@pytest.mark.parametrize("secret", [b"a\r\nx-more: b", b"a\0b", b"\xff"])
async def test_a_header_that_breaks_out_of_its_line_is_not_sent(http, secret):
    async with playing(answering()) as server:
        with pytest.raises(httpx.LocalProtocolError):
            await http.post(server.url, headers={b"x-secret": secret}, timeout=5)

    assert server.sent == []


@pytest.mark.parametrize(("size", "error"), [(9, httpx.LocalProtocolError), (11, httpx.WriteError)])
async def test_a_body_of_another_length_than_told_is_no_whole_request(http, size, error):
    async def body() -> AsyncIterator[bytes]:
        yield b"x" * size

    async with playing(hanging) as server:
        with pytest.raises(error):
            await http.post(server.url, content=body(), headers={"content-length": "10"}, timeout=5)

        async with asyncio.timeout(5):
            while server.open:
                await asyncio.sleep(0.01)
    assert server.sent == []


@pytest.mark.parametrize("slow_at", ["head", "body"])
async def test_a_request_that_is_cancelled_closes_its_connection_and_gives_its_place_back(narrow, slow_at):
    async def play(talk: Talk) -> None:
        await talk.take()
        if talk.number == 1:
            talk.say(b"" if slow_at == "head" else HEAD + b"content-length: 10\r\n\r\nabc")
            await talk.until_left()
        talk.say(OK)

    async with playing(play) as server:
        cancelled = asyncio.create_task(narrow.post(server.url, content=b"hello"))
        async with asyncio.timeout(5):
            while not server.sent:
                await asyncio.sleep(0.01)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled

        assert (await narrow.get(server.url)).text == "ok"
    assert server.connections == 2
