"""A file of a hundred megabytes goes to a provider as it is read, and is never whole in memory."""

from __future__ import annotations

import asyncio
import base64
import tracemalloc
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from server.errors import ProviderDownError, ProviderRefusedError
from server.ports import ChannelAccount, EventKind, OutgoingMedia
from server.providers.streams import in_base64
from server.providers.whatsapp_bridge import WhatsappBridge
from server.providers.whatsapp_bridge_messages import MOST_FILE_BYTES
from server.providers.whatsapp_cloud import WhatsappCloud

MIB = 2**20
ANSWER = b'{"id":"1","ok":true,"messageId":"M1","messages":[{"id":"wamid.1"}]}'
MOST_MEMORY = 4 * MIB


class Provider:
    """Takes whatever it is sent, counts it, and answers as both channels would."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.taken: list[int] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            size = int(
                next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))[15:]
            )
            left = size
            while left and (chunk := await reader.read(min(left, MIB // 4))):
                left -= len(chunk)
            self.told.append(size)
            self.taken.append(size - left)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER))
            await writer.drain()
        writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


@pytest.fixture
async def provider(free_port):
    made = Provider()
    async with await asyncio.start_server(made.take, "127.0.0.1", free_port):
        yield made


async def large(size_bytes: int) -> AsyncIterator[bytes]:
    for start in range(0, size_bytes, MIB // 4):
        yield b"x" * min(MIB // 4, size_bytes - start)


def document(size_bytes: int) -> OutgoingMedia:
    return OutgoingMedia(EventKind.DOCUMENT, large(size_bytes), size_bytes, "application/pdf", "plans.pdf")


@pytest.mark.parametrize("kind", ["bridge", "cloud"])
async def test_the_largest_file_of_a_channel_goes_out_in_four_megabytes_of_memory(
    http, provider, free_port, kind
):
    url = f"http://127.0.0.1:{free_port}"
    account = ChannelAccount(uuid4(), 6, url, "secret", "business_6", "1")
    channel = WhatsappBridge(http) if kind == "bridge" else WhatsappCloud(http, base_url=url, version="v23.0")
    size = MOST_FILE_BYTES if kind == "bridge" else 100 * MIB

    tracemalloc.start()
    await channel.send(account, document(size), to="972501234567@s.whatsapp.net", key="letter:1")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert provider.taken == provider.told
    assert provider.taken[0] > size
    assert peak < MOST_MEMORY


async def test_a_file_that_a_bridge_cannot_take_is_refused_before_it_is_read(http):
    account = ChannelAccount(uuid4(), 6, "http://127.0.0.1:1", "secret", "business_6")

    with pytest.raises(ProviderRefusedError, match="36 MB at most"):
        await WhatsappBridge(http).send(account, document(MOST_FILE_BYTES + 1), to="1@lid", key="k")


@pytest.mark.parametrize("kind", ["bridge", "cloud"])
async def test_a_storage_that_breaks_off_proves_that_nothing_was_sent(http, provider, free_port, kind):
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        raise ProviderDownError("the storage broke off")

    url = f"http://127.0.0.1:{free_port}"
    account = ChannelAccount(uuid4(), 6, url, "secret", "business_6", "1")
    channel = WhatsappBridge(http) if kind == "bridge" else WhatsappCloud(http, base_url=url, version="v23.0")
    half = OutgoingMedia(EventKind.DOCUMENT, broken(), 2000, "application/pdf")

    with pytest.raises(ProviderDownError, match="broke off"):
        await channel.send(account, half, to="1@lid", key="k")


@pytest.mark.parametrize("sizes", [(), (1,), (2, 2), (3, 1, 5), (1, 1, 1, 1), (0, 7)])
async def test_base64_in_pieces_is_the_base64_of_the_whole(sizes):
    content = bytes(range(sum(sizes)))

    async def pieces() -> AsyncIterator[bytes]:
        start = 0
        for size in sizes:
            yield content[start : start + size]
            start += size

    assert b"".join([chunk async for chunk in in_base64(pieces())]) == base64.b64encode(content)
