"""One PostgreSQL and one Valkey for a test run, on private sockets, gone with the run."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from server.stack.postgres import Postgres, PostgresOptions
from server.stack.sockets import make_socket_folder
from server.stack.valkey import Valkey, ValkeyOptions

TEMPLATE = "template_prosaas"
Result = TypeVar("Result")

# Deleting the few rows of a test costs a tenth of truncating its tables, which makes new files. No trigger
# fires and no reference is followed: all goes. A table that a test filled is truncated after all.
_FILLED_TABLES = """
    DO $$
    DECLARE name text; has_rows boolean; is_full boolean; sequence record;
    BEGIN
        SET LOCAL lock_timeout = '5s';
        SET LOCAL session_replication_role = replica;
        FOR name IN
            SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
            WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tablename <> 'alembic_version'
        LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM %s), EXISTS (SELECT FROM %s OFFSET 2000)', name, name)
                INTO has_rows, is_full;
            IF is_full THEN
                EXECUTE format('TRUNCATE %s CASCADE', name);
            ELSIF has_rows THEN
                EXECUTE format('DELETE FROM %s', name);
            END IF;
        END LOOP;
        FOR sequence IN
            SELECT format('%I.%I', schemaname, sequencename) AS name FROM pg_sequences
            WHERE last_value IS NOT NULL
        LOOP
            PERFORM setval(sequence.name, 1, false);
        END LOOP;
    END $$
"""


@dataclass(frozen=True)
class TestServers:
    """Where both servers keep their data and their sockets."""

    __test__ = False
    folder: Path

    @property
    def postgres(self) -> Postgres:
        """The launcher of the one PostgreSQL."""
        return throwaway_postgres(self.folder)

    @property
    def valkey(self) -> Valkey:
        """The launcher of the one Valkey."""
        return throwaway_valkey(self.folder)


def throwaway_postgres(folder: Path) -> Postgres:
    """Describe a PostgreSQL whose data need not survive, on a socket in this folder."""
    return Postgres(PostgresOptions(data=folder / "pg", sockets=folder, durable=False))


def throwaway_valkey(folder: Path) -> Valkey:
    """Describe a Valkey on a socket in this folder."""
    return Valkey(ValkeyOptions(data=folder / "redis", socket=folder / "redis.sock"))


class RunningServers:
    """Both servers, started once by whoever leads the run."""

    def __init__(self) -> None:
        self.servers = TestServers(make_socket_folder())
        self._postgres, self._valkey = self.servers.postgres, self.servers.valkey

    def start(self) -> None:
        """Start both and migrate the template that every worker's database is cloned from."""
        run(self._start())

    async def _start(self) -> None:
        from server.db.migrate import upgrade

        await self._valkey.start()
        await self._postgres.start()
        await self._postgres.ensure_database(TEMPLATE)
        await upgrade(self._postgres.url(TEMPLATE))

    def stop(self) -> None:
        """Stop both and remove their data."""
        run(self._stop())
        shutil.rmtree(self.servers.folder, ignore_errors=True)

    async def _stop(self) -> None:
        await self._postgres.stop()
        await self._valkey.stop()


async def clone_template(servers: TestServers, name: str) -> str:
    """Make a fresh migrated database; returns its address."""
    connection = await asyncpg.connect(servers.postgres.url())
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')
    finally:
        await connection.close()
    return servers.postgres.url(name)


async def empty_tables(database_url: str) -> None:
    """Empty every table that has rows; the schema's own version stays."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(_FILLED_TABLES)
    finally:
        await connection.close()


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on a loop of its own, leaving the test's loop alone."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(work)
