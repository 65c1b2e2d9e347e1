"""The tests' own servers."""

from __future__ import annotations

import socket

import asyncpg
import pytest
import redis.asyncio


async def test_the_workers_database_is_migrated_and_its_own(clean_database, worker_number):
    connection = await asyncpg.connect(clean_database)

    name = await connection.fetchval("SELECT current_database()")
    version = await connection.fetchval("SELECT version_num FROM alembic_version")
    await connection.close()

    assert name == f"worker_{worker_number}"
    assert version


async def test_a_redis_database_is_empty_and_never_evicts(redis_url):
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        assert await client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_a_socket_beyond_this_machine_is_refused():
    with socket.socket() as outward, pytest.raises(PermissionError, match="only to this machine"):
        outward.connect(("192.0.2.1", 80))
