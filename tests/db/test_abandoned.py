"""A session whose client was cut off gives back what it holds: its locks are somebody's conversation."""

from __future__ import annotations

import asyncpg
import pytest

from server.db import Database
from server.errors import StoreUnavailableError

LOCK = "SELECT pg_advisory_xact_lock(8)"


@pytest.fixture
async def database(clean_database):
    opened = Database(clean_database, role="prosaas_worker", statement_timeout_s=0.5)
    yield opened
    await opened.aclose()


async def in_the_midst_of_a_statement(connection: asyncpg.Connection) -> None:
    # The driver prepares with a flush instead of a sync: the server waits for the parameters, "active".
    await connection.prepare("SELECT $1::int")


async def between_two_statements(_connection: asyncpg.Connection) -> None:
    pass


@pytest.mark.parametrize("cut_off", [in_the_midst_of_a_statement, between_two_statements])
async def test_a_session_that_is_cut_off_loses_its_locks(database, clean_database, cut_off):
    other = await asyncpg.connect(clean_database, timeout=5)
    has_lock = False
    try:
        with pytest.raises(StoreUnavailableError):
            async with database.driver_transaction() as lost:
                await lost.execute(LOCK)
                await cut_off(lost)
                await other.execute(LOCK, timeout=10)
                has_lock = True
                await lost.execute("SELECT 1")
    finally:
        await other.close()
    assert has_lock
