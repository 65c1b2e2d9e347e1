"""What the tests of the unit of work share."""

from __future__ import annotations

import asyncpg
import pytest


@pytest.fixture
async def look(clean_database):
    connection = await asyncpg.connect(clean_database)
    yield connection
    await connection.close()
