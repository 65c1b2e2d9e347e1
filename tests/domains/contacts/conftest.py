"""A database with two businesses, as the worker sees it."""

from __future__ import annotations

import asyncpg
import pytest

from server.db import Database


@pytest.fixture
async def look(clean_database):
    connection = await asyncpg.connect(clean_database)
    await connection.execute("INSERT INTO business (id, name) VALUES (6, 'Dana'), (9, 'Noa')")
    yield connection
    await connection.close()


@pytest.fixture
async def database(clean_database, look):
    opened = Database(clean_database, role="prosaas_worker", pool_size=12)
    yield opened
    await opened.aclose()
