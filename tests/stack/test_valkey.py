"""Our launcher of Valkey."""

from __future__ import annotations

import signal

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError

from server.errors import StartRefusedError
from server.stack.valkey import Valkey, ValkeyOptions
from tests.servers import throwaway_valkey


async def test_what_was_written_survives_a_killed_server(socket_folder):
    server = throwaway_valkey(socket_folder)
    child = await server.start()
    async with redis.asyncio.Redis.from_url(server.url()) as client:
        await client.set("kept", "7")

    child.send(signal.SIGKILL)
    await child.wait()
    await server.start()

    async with redis.asyncio.Redis.from_url(server.url()) as client:
        assert await client.get("kept") == b"7"
    assert await server.stop() == 0


async def test_a_port_asks_for_the_password(tmp_path, free_port):
    server = Valkey(ValkeyOptions(data=tmp_path / "redis", password='s3"c ret', port=free_port))
    await server.start()

    async with redis.asyncio.Redis.from_url(server.url()) as client:
        assert await client.ping()
    async with redis.asyncio.Redis(port=free_port, retry=Retry(NoBackoff(), 0)) as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.ping()
    await server.stop()


async def test_a_second_server_on_the_same_socket_is_refused(own_valkey, socket_folder, monkeypatch):
    monkeypatch.setattr("server.stack.valkey._ANSWER_WITHIN_S", 0.1)

    with pytest.raises(StartRefusedError, match="Another Redis already serves"):
        await throwaway_valkey(socket_folder).start()

    assert await own_valkey.answers()


async def test_the_password_is_readable_by_its_owner_only(tmp_path, free_port):
    Valkey(ValkeyOptions(data=tmp_path / "redis", password="secret", port=free_port)).prepare()

    assert (tmp_path / "redis" / "valkey.conf").stat().st_mode & 0o777 == 0o600
