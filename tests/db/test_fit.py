"""A connection that was lost, or left in the midst of a transaction, is lent to nobody."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import asyncpg
import pytest
from sqlalchemy import text

from server.db import Database
from server.db.session import Session, driver_of
from tests.engine import eventually

SCOPE = "SELECT current_setting('prosaas.businesses', true)"
SLEEPS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
OPEN = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"


@pytest.fixture
async def database(clean_database):
    opened = Database(clean_database, role="prosaas_worker", pool_size=1, statement_timeout_s=2)
    yield opened
    await opened.aclose()


async def scope_of_the_next(database: Database) -> str:
    async with database.transaction(6) as session:
        return str(await session.scalar(text(SCOPE)))


async def backend(database: Database) -> int:
    async with database.transaction(5) as session:
        return int((await driver_of(session)).get_server_pid())


async def test_a_connection_that_the_server_ended_is_replaced(database, look):
    lost = await backend(database)
    await look.execute("SELECT pg_terminate_backend($1, 5000)", lost)

    assert await scope_of_the_next(database) == "6"
    assert await backend(database) != lost


async def test_one_that_it_ended_unnoticed_is_replaced_before_anything_is_written(database, clean_database):
    lost = await backend(database)
    # The loop stands still meanwhile, as when it is busy: word of the end waits in the socket, unread.
    ending = threading.Thread(target=asyncio.run, args=[end(clean_database, lost)])
    ending.start()
    ending.join(timeout=20)

    assert await scope_of_the_next(database) == "6"
    assert await backend(database) != lost


async def end(url: str, pid: int) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    await connection.close()


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_whoever_is_cancelled_in_a_transaction_leaves_nothing_of_it(database, look, times):
    started = asyncio.Event()

    async def sleep_in_a_transaction() -> None:
        async with database.transaction(5) as session:
            started.set()
            await session.execute(text("SELECT pg_sleep(30)"))

    sleeping = asyncio.create_task(sleep_in_a_transaction())
    await started.wait()
    await eventually(lambda: _is(look, SLEEPS, 1), within_s=5, what="one sleep")
    for _ in range(times):
        sleeping.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await sleeping

    async with asyncio.timeout(10):
        assert await scope_of_the_next(database) == "6"
    # A statement that nobody waits for any more ends at its own time limit.
    await eventually(lambda: _is(look, SLEEPS, 0), within_s=5, what="the end of every sleep")
    await eventually(lambda: _is(look, OPEN, 0), within_s=5, what="the end of every transaction")


async def test_a_connection_left_in_a_transaction_is_not_lent_again(database):
    left = await backend(database)
    async with Session(database._engine) as session:
        carrier = await (await session.connection()).get_raw_connection()
        await cast("Any", carrier.driver_connection).execute("BEGIN; SET LOCAL prosaas.businesses = '5'")

    assert await scope_of_the_next(database) == "6"
    assert await backend(database) != left


async def _is(look: asyncpg.Connection, query: str, wanted: int) -> bool:
    return bool(await look.fetchval(query) == wanted)
