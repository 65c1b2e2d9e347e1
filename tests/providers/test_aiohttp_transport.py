"""What goes over the wire and what comes back is what it was with httpx's own transport."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from server.providers.connections import MOST_CONNECTIONS, open_connections
from tests.providers.certificates import self_signed
from tests.providers.scripted_server import OK, Talk, answering, playing

MIB = 2**20
HEAD = b"HTTP/1.1 200 OK\r\n"
PACKED = gzip.compress(b"hello")
ANSWERS = {
    "with its length": HEAD + b"content-length: 5\r\n\r\nhello",
    "in chunks, with trailers": HEAD
    + b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nx-more: z\r\n\r\n",
    "until it closes": HEAD + b"\r\nhello",
    "of an old server": b"HTTP/1.0 200 OK\r\n\r\nhello",
    "after a go-ahead": b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"content-length: 5\r\n\r\nhello",
    "packed": HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b" % (len(PACKED), PACKED),
}


async def five_bytes() -> AsyncIterator[bytes]:
    yield b"hello"


def requests(url: str) -> list[tuple[str, str, dict[str, Any]]]:
    secret = httpx.Headers({"X-Internal-Secret": "סוד"}, encoding="utf-8")
    told = {"content-length": "5", "content-type": "image/png"}
    return [
        ("GET", url, {}),
        ("GET", f"{url}/a%2Fb/../%D7%A9/c d?q=a+b%20c&x=%27é", {}),
        ("GET", url.replace("//", "//dana:p%40ss@") + "/x", {"headers": {"accept-encoding": "identity"}}),
        ("POST", f"{url}/send", {"json": {"text": "שלום"}, "headers": secret}),
        ("POST", f"{url}/send", {"content": b"x" * 2 * MIB, "headers": {"Connection": "close"}}),
        ("POST", f"{url}/send", {"content": b""}),
        ("POST", f"{url}/form", {"data": {"a": "b"}}),
        ("PUT", f"{url}/file", {"content": five_bytes(), "headers": told}),
        ("POST", f"{url}/file", {"content": five_bytes()}),
    ]


async def test_the_same_bytes_go_out(http):
    async with playing(answering()) as ours, playing(answering()) as theirs:
        async with httpx.AsyncClient() as plain:
            for client, server in ((http, ours), (plain, theirs)):
                for method, url, more in requests(server.url):
                    await client.request(method, url, **more)

        host = ours.url.removeprefix("http://").encode(), theirs.url.removeprefix("http://").encode()
        for mine, other in zip(ours.sent, theirs.sent, strict=True):
            assert mine.head.split(b"\r\n")[0] == other.head.split(b"\r\n")[0]
            assert mine.header_lines == [line.replace(host[1], host[0]) for line in other.header_lines]
            assert mine.body == other.body


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_comes_whole_however_it_is_framed(http, answer):
    async def play(talk: Talk) -> None:
        await talk.take()
        talk.say(answer)

    async with playing(play) as server:
        whole = await http.post(server.url, content=b"x", timeout=5)

    assert (whole.status_code, whole.text) == (200, "hello")


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_ends_with_its_head(http, status):
    async with playing(answering(b"HTTP/1.1 %d X\r\nx-a: 1\r\nX-A: 2\r\n\r\n" % status)) as server:
        empty = await http.post(server.url, content=b"x", timeout=5)

    assert (empty.status_code, empty.content) == (status, b"")
    assert empty.headers.get_list("x-a") == ["1", "2"]


async def test_no_redirect_is_followed_and_no_cookie_is_given_back(http):
    moved = b"HTTP/1.1 302 Found\r\nlocation: /x\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"
    async with playing(answering(moved)) as server:
        first = await http.get(server.url, timeout=5)
        await http.get(server.url, timeout=5)

    assert first.status_code == 302
    assert len(server.sent) == 2
    assert b"cookie" not in server.sent[1].head.lower()


async def test_a_connection_is_kept_for_the_next_request(http):
    async with playing(answering()) as server:
        for _ in range(3):
            await http.post(server.url, content=b"x", timeout=5)

    assert (server.connections, len(server.sent)) == (1, 3)


async def test_an_authority_of_the_operator_s_own_is_trusted_and_its_connections_are_kept(
    tmp_path, monkeypatch
):
    authority = tmp_path / "authority.pem"
    async with playing(answering(), tls=self_signed(authority)) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        async with open_connections() as http:
            for _ in range(3):
                assert (await http.post(server.url, content=b"x", timeout=5)).text == "ok"

    assert (server.connections, len(server.sent)) == (1, 3)


async def test_a_request_that_asks_to_close_shares_its_connection_with_none(http):
    async with playing(answering()) as server:
        for _ in range(2):
            await http.post(server.url, content=b"x", headers={"Connection": "close"}, timeout=5)

    assert server.connections == 2


@pytest.mark.parametrize("word", [b"", b"HTTP/1.1 408 Too Late\r\ncontent-length: 0\r\n\r\n"])
async def test_a_connection_that_was_closed_while_it_lay_idle_is_not_used(http, word):
    talks: list[Talk] = []

    async def play(talk: Talk) -> None:
        talks.append(talk)
        await answering()(talk)

    async with playing(play) as server:
        await http.post(server.url, content=b"first", timeout=5)
        talks[0].end_at_once(word)
        # The loop has not turned since: only the socket itself knows.
        answer = await http.post(server.url, content=b"second", timeout=5)

    assert answer.status_code == 200
    assert [sent.body for sent in server.sent] == [b"first", b"second"]
    assert server.connections == 2


async def test_what_a_server_says_unasked_is_nobody_s_answer(http):
    async def play(talk: Talk) -> None:
        await talk.take()
        talk.say(OK)
        if talk.number == 1:
            await talk.writer.drain()
            await asyncio.sleep(0.05)
            talk.say(OK.replace(b"ok", b"no"))
            await talk.until_left()

    async with playing(play) as server:
        await http.post(server.url, content=b"first", timeout=5)
        # Nothing is waited for: the loop hears what came unasked.
        await asyncio.sleep(0.2)
        answer = await http.post(server.url, content=b"second", timeout=5)

    assert answer.text == "ok"


async def test_a_connection_that_closes_as_it_is_used_again_leaves_open_what_happened(http):
    async def play(talk: Talk) -> None:
        await talk.take()
        talk.say(OK)
        await talk.take()

    async with playing(play) as server:
        await http.post(server.url, content=b"first", timeout=5)
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(server.url, content=b"second", timeout=5)

    assert [sent.body for sent in server.sent] == [b"first", b"second"]


async def test_three_hundred_at_once_go_through_two_hundred_connections(http):
    async def play(talk: Talk) -> None:
        while True:
            await talk.take()
            await asyncio.sleep(0.05)
            talk.say(OK)

    async with playing(play) as server:
        answers = await asyncio.gather(
            *(http.post(server.url, content=b"%d" % number, timeout=30) for number in range(300))
        )

    assert [answer.text for answer in answers] == ["ok"] * 300
    assert sorted(int(sent.body) for sent in server.sent) == list(range(300))
    assert server.most_open <= MOST_CONNECTIONS


async def test_an_answer_that_comes_early_is_read_though_not_all_was_sent(http):
    async def play(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        talk.say(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await talk.until_left()

    async with playing(play) as server:
        refused = await http.put(server.url, content=b"x" * 20 * MIB, timeout=5)

    assert (refused.status_code, refused.text) == (413, "big")


async def test_a_stream_that_is_left_early_closes_its_connection(http):
    left = asyncio.Event()

    async def play(talk: Talk) -> None:
        await talk.take()
        talk.say(HEAD + b"content-length: 1000\r\n\r\n" + b"x" * 10)
        await talk.until_left()
        left.set()

    async with playing(play) as server:
        async with http.stream("GET", server.url, timeout=5) as answer:
            async for chunk in answer.aiter_raw():
                assert chunk == b"x" * 10
                break

        async with asyncio.timeout(5):
            await left.wait()


async def test_a_hundred_megabytes_stream_in_under_little_memory(http):
    async def play(talk: Talk) -> None:
        await talk.take()
        talk.say(HEAD + b"content-length: %d\r\n\r\n" % (100 * MIB))
        for _ in range(400):
            talk.say(b"x" * (MIB // 4))
            await talk.writer.drain()

    async with playing(play) as server:
        tracemalloc.start()
        size = 0
        async with http.stream("GET", server.url, timeout=30) as answer:
            async for chunk in answer.aiter_bytes():
                size += len(chunk)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert size == 100 * MIB
    assert peak < 4 * MIB


async def test_a_reader_who_waits_holds_the_sender_back(http):
    said = 0

    async def play(talk: Talk) -> None:
        nonlocal said
        await talk.take()
        talk.say(HEAD + b"content-length: %d\r\n\r\n" % (100 * MIB))
        for _ in range(400):
            talk.say(b"x" * (MIB // 4))
            said += MIB // 4
            await talk.writer.drain()

    async with playing(play) as server, http.stream("GET", server.url, timeout=5) as answer:
        await anext(answer.aiter_raw())
        # Nothing is waited for: the sender has all the time it needs.
        await asyncio.sleep(0.3)

        assert said < 50 * MIB
