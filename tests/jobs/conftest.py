"""The engine for the tests of the handlers."""

from __future__ import annotations

import pytest

from tests.engine import open_engine


@pytest.fixture
async def engine(clean_database, redis_url):
    async with open_engine(clean_database, redis_url) as engine:
        yield engine
