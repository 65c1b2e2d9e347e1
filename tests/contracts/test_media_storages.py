"""One suite for every storage of files: a folder, and a simulated S3 on a real socket."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from server.errors import ProviderDownError
from server.providers.media_folder import MediaFolder
from server.providers.media_s3 import MediaS3, S3Bucket
from server.storages import MediaStorage
from simulator import s3

KEY = UUID(int=7)
MIB = 1024 * 1024


@dataclass
class Place:
    """A storage, what it holds, and how to take it away from its user."""

    storage: MediaStorage
    holds: Callable[[], int]
    take_away: Callable[[], Awaitable[None]] = field(repr=False)


@asynccontextmanager
async def folder(tmp_path: Path, _port: int) -> AsyncIterator[Place]:
    root = tmp_path / "media"
    root.mkdir()

    async def take_away() -> None:
        root.rename(tmp_path / "elsewhere")
        root.write_bytes(b"no folder")

    yield Place(MediaFolder(root), lambda: sum(one.is_file() for one in root.rglob("*")), take_away)


@asynccontextmanager
async def bucket(_tmp_path: Path, port: int) -> AsyncIterator[Place]:
    objects = s3.Objects()
    config = uvicorn.Config(Starlette(routes=s3.routes(objects)), port=port, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)

    async def take_away() -> None:
        objects.refusal = 503

    told = S3Bucket(f"http://127.0.0.1:{port}", "eu-central-1", "files", s3.KEY_ID, s3.SECRET)
    async with httpx.AsyncClient() as http:
        yield Place(MediaS3(http, told), lambda: len(objects.contents), take_away)
    server.should_exit = True
    await serving


@pytest.fixture(params=[folder, bucket])
async def place(request, tmp_path, free_port):
    async with request.param(tmp_path, free_port) as opened:
        yield opened


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read(place: Place, key: UUID = KEY, *, business_id: int = 6, **part: int) -> tuple[int, bytes]:
    async with place.storage.open(business_id, key, **part) as opened:
        return opened.size_bytes, b"".join([chunk async for chunk in opened.chunks])


async def test_what_was_put_is_read_again_whole_and_in_parts(place):
    await place.storage.put(6, KEY, chunks(b"one ", b"", b"two ", b"three"))

    assert await read(place) == (13, b"one two three")
    assert await read(place, start=4) == (13, b"two three")
    assert await read(place, start=4, end=7) == (13, b"two")
    assert await read(place, start=0, end=1) == (13, b"o")
    assert await read(place, start=8, end=99) == (13, b"three")


async def test_putting_again_replaces_and_leaves_one_file(place):
    await place.storage.put(6, KEY, chunks(b"old and longer"))
    await place.storage.put(6, KEY, chunks(b"new"))

    assert (await read(place), place.holds()) == ((3, b"new"), 1)


async def test_each_business_has_files_of_its_own(place):
    await place.storage.put(6, KEY, chunks(b"Dana's"))

    with pytest.raises(KeyError):
        await read(place, business_id=9)


async def test_a_file_that_breaks_off_is_not_there_at_all(place):
    async def broken() -> AsyncIterator[bytes]:
        yield b"half of it"
        raise ConnectionError("the sender went away")

    with pytest.raises(ConnectionError):
        await place.storage.put(6, KEY, broken())

    assert place.holds() == 0
    with pytest.raises(KeyError):
        await read(place)


async def test_a_broken_off_replacement_leaves_the_file_that_was_there(place):
    async def broken() -> AsyncIterator[bytes]:
        yield b"half of it"
        raise ConnectionError("the sender went away")

    await place.storage.put(6, KEY, chunks(b"whole"))
    with pytest.raises(ConnectionError):
        await place.storage.put(6, KEY, broken())

    assert await read(place) == (5, b"whole")


async def test_a_put_that_is_cancelled_leaves_nothing(place):
    async def endless() -> AsyncIterator[bytes]:
        yield b"a beginning"
        await asyncio.Event().wait()

    putting = asyncio.create_task(place.storage.put(6, KEY, endless()))
    await asyncio.sleep(0.05)
    putting.cancel()
    await asyncio.gather(putting, return_exceptions=True)

    assert place.holds() == 0


async def test_removing_twice_is_fine(place):
    await place.storage.put(6, KEY, chunks(b"a file"))

    await place.storage.remove(6, KEY)
    await place.storage.remove(6, KEY)

    assert place.holds() == 0


async def test_a_storage_that_is_away_says_so_and_what_to_check(place):
    await place.storage.put(6, KEY, chunks(b"a file"))
    await place.take_away()

    for attempt in (
        place.storage.put(6, uuid4(), chunks(b"another")),
        read(place),
        place.storage.remove(6, KEY),
    ):
        with pytest.raises(ProviderDownError, match=r"check|try again"):
            await attempt


async def large() -> AsyncIterator[bytes]:
    for _ in range(100 * 16):
        yield b"x" * (MIB // 16)


async def test_a_hundred_megabytes_pass_through_a_folder_in_eight_of_memory(tmp_path):
    storage = MediaFolder(tmp_path)

    tracemalloc.start()
    await storage.put(6, KEY, large())
    async with storage.open(6, KEY) as opened:
        size = sum([len(chunk) async for chunk in opened.chunks])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert size == 100 * MIB
    assert peak < 8 * MIB


async def test_a_hundred_megabytes_reach_a_bucket_in_eight_of_memory(free_port):
    taken = 0

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        await reader.readuntil(b"\r\n\r\n")
        while taken < 100 * MIB:
            taken += len(await reader.read(MIB))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    bucket = S3Bucket(f"http://127.0.0.1:{free_port}", "eu", "files", s3.KEY_ID, s3.SECRET)
    async with await asyncio.start_server(take, "127.0.0.1", free_port), httpx.AsyncClient() as http:
        tracemalloc.start()
        await MediaS3(http, bucket).put(6, KEY, large())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert taken == 100 * MIB
    assert peak < 8 * MIB


async def test_what_a_dead_process_left_goes_with_its_file(tmp_path):
    left = tmp_path / "6" / f"{KEY}.abc.part"
    left.parent.mkdir()
    left.write_bytes(b"half of it")

    await MediaFolder(tmp_path).remove(6, KEY)

    assert not left.exists()


async def test_a_wrong_key_to_the_bucket_is_told_as_one(free_port, tmp_path):
    async with bucket(tmp_path, free_port), httpx.AsyncClient() as http:
        wrong = MediaS3(http, S3Bucket(f"http://127.0.0.1:{free_port}", "eu", "files", s3.KEY_ID, "wrong"))

        with pytest.raises(ProviderDownError, match="MEDIA_S3_SECRET"):
            await wrong.put(6, KEY, chunks(b"a file"))
