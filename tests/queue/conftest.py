"""The engine for the tests of the queue."""

from __future__ import annotations

import pytest

from tests.engine import Queue, open_engine


@pytest.fixture
async def engine(clean_database, redis_url):
    async with open_engine(clean_database, redis_url) as engine:
        yield engine


@pytest.fixture
def queue(engine, clean_database):
    return Queue(engine, clean_database)
