"""Files at addresses that a program named: what is fetched, how far it is followed, and never inside."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from server.errors import ProviderBusyError, ProviderDownError, ProviderRefusedError
from server.providers.connections import open_guarded_connections
from server.providers.linked_files import AT_ONCE, MOST_REDIRECTS, HttpLinkedFiles

ANSWERS = b"HTTP/1.1 %d X\r\n%bcontent-length: %d\r\nconnection: close\r\n\r\n%b"


class Host:
    """Answers each path with what stands under it in `pages`, and keeps what it was asked."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.pages: dict[str, bytes | None] = {}
        self.asked: list[bytes] = []

    def says(self, path: str, status: int, body: bytes = b"", **headers: str) -> None:
        told = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.pages[path] = ANSWERS % (status, told.encode(), len(body), body)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head)
        answer = self.pages.get(head.split(b" ")[1].decode(), ANSWERS % (404, b"", 0, b""))
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()


@pytest.fixture
async def host(free_port):
    made = Host(free_port)
    async with await asyncio.start_server(made.serve, "127.0.0.1", free_port):
        yield made


@pytest.fixture
async def files():
    async with open_guarded_connections("127.0.0.1") as http:
        yield HttpLinkedFiles(http, timeout_s=2)


async def fetch(files, url):
    async with files.open(url, name="6") as opened:
        return opened, b"".join([chunk async for chunk in opened.chunks])


async def test_a_file_is_fetched_with_what_its_server_says_of_it(files, host):
    host.says("/a.pdf?sig=1", 200, b"%PDF-1", content_type="application/pdf")

    opened, content = await fetch(files, f"{host.url}/a.pdf?sig=1")

    assert (content, opened.mimetype, opened.size_bytes) == (b"%PDF-1", "application/pdf", 6)
    assert b"accept-encoding: identity" in host.asked[0].lower()


async def test_a_redirect_is_followed_also_one_that_names_no_host(files, host):
    host.says("/first", 302, location="/second")
    host.says("/second", 307, location=f"{host.url}/third")
    host.says("/third", 200, b"here")

    assert (await fetch(files, f"{host.url}/first"))[1] == b"here"


@pytest.mark.parametrize(
    "elsewhere",
    ["http://127.0.0.2:1/x", "http://169.254.169.254/latest", "http://[::1]/x", "file:///etc/passwd"],
)
async def test_a_redirect_to_the_inside_is_not_followed(files, host, elsewhere):
    host.says("/first", 302, location=elsewhere)

    with pytest.raises((ProviderRefusedError, ProviderDownError)):
        await fetch(files, f"{host.url}/first")

    assert len(host.asked) == 1


async def test_redirects_come_to_an_end(files, host):
    host.says("/round", 302, location="/round")

    with pytest.raises(ProviderRefusedError, match="on and on"):
        await fetch(files, f"{host.url}/round")

    assert len(host.asked) == MOST_REDIRECTS + 1


@pytest.mark.parametrize("address", ["http://169.254.169.254/latest", "http://10.0.0.1/x", "http://[::1]/x"])
async def test_an_address_inside_is_not_asked(files, address):
    with pytest.raises(ProviderRefusedError, match="private network"):
        await fetch(files, address)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, ProviderRefusedError) for status in (201, 204, 304, 401, 403, 404, 410)),
        *((status, ProviderDownError) for status in (408, 425, 429, 500, 503)),
    ],
)
async def test_what_is_no_file_is_refused_or_asked_for_again(files, host, status, error):
    host.says("/x", status)

    with pytest.raises(error) as raised:
        await fetch(files, f"{host.url}/x")

    assert type(raised.value) is error


async def test_what_comes_packed_all_the_same_is_refused(files, host):
    host.says("/bomb", 200, gzip.compress(b"0" * 1_000_000), content_encoding="gzip")

    with pytest.raises(ProviderRefusedError, match="packed"):
        await fetch(files, f"{host.url}/bomb")


async def test_an_address_that_never_answers_or_breaks_off_is_asked_again_later(files, host):
    host.pages["/silent"] = None
    host.pages["/half"] = b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\nhalf"
    files._timeout_s = 0.2

    with pytest.raises(ProviderDownError, match="did not come within"):
        await fetch(files, f"{host.url}/silent")
    with pytest.raises(ProviderDownError, match="broke off"):
        await fetch(files, f"{host.url}/half")


async def test_of_one_business_so_many_are_fetched_at_once(files, host):
    host.pages["/silent"] = None
    waiting = [asyncio.create_task(fetch(files, f"{host.url}/silent")) for _ in range(AT_ONCE)]
    while len(host.asked) < AT_ONCE:
        await asyncio.sleep(0.01)
    host.says("/x", 200, b"x")

    with pytest.raises(ProviderBusyError):
        await fetch(files, f"{host.url}/x")
    async with files.open(f"{host.url}/x", name="another business"):
        pass
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)

    assert (await fetch(files, f"{host.url}/x"))[1] == b"x"
