"""Bring the schema up to date, and check that it is what the models say.

python -m server.db.migrate          apply what is missing
python -m server.db.migrate check    fail when models and migrations have drifted apart
"""

from __future__ import annotations

import asyncio
import importlib
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection

import server.domains
from server.db.base import Base
from server.db.session import Database
from server.errors import StartRefusedError

LOCK_KEY = 0x70726F73
# The engine's tables are written with plain SQL and have no models; its own tests hold their shape.
WITHOUT_MODELS = frozenset(
    {
        "job",
        "job_attempt",
        "job_audit",
        "job_pause",
        "provider_account",
        "effect",
        "schedule",
        "schedule_slot",
        "schedule_audit",
        "alembic_version",
    }
)


async def upgrade(database_url: str, *, to: str = "head") -> None:
    """Apply every missing migration up to one; several processes at once wait for one another."""
    await _with_connection(database_url, lambda connection: _upgrade(connection, to))


async def drift(database_url: str) -> list[Any]:
    """Return what Alembic would change to make the schema match the models; [] is what you want."""
    for module in pkgutil.iter_modules(server.domains.__path__, "server.domains."):
        importlib.import_module(module.name)
    found: list[Any] = []
    await _with_connection(database_url, lambda connection: found.extend(_compare(connection)))
    return found


def describes_domain_table(_: object, name: str | None, kind: str, *__: object) -> bool:
    """Tell Alembic which tables have models to compare with."""
    return not (kind == "table" and name in WITHOUT_MODELS)


async def _with_connection(database_url: str, act: Any) -> None:
    database = Database(database_url, role=None, statement_timeout_s=600)
    try:
        async with database.raw_connection() as connection:
            await connection.run_sync(act)
            await connection.commit()
    except (OSError, asyncpg.PostgresConnectionError) as error:
        raise StartRefusedError(f"PostgreSQL does not answer at DATABASE_URL: {error}") from error
    finally:
        await database.aclose()


def _upgrade(connection: Connection, to: str) -> None:
    connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK_KEY})")
    connection.exec_driver_sql("SET lock_timeout = '5s'")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    connection.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCK_KEY})")


def _compare(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(
        connection, opts={"include_object": describes_domain_table, "compare_server_default": False}
    )
    return list(compare_metadata(context, Base.metadata))


def main() -> int:
    """Run from a shell with DATABASE_URL set; returns the exit code."""
    database_url = os.environ.get("DATABASE_URL", "")
    if not database_url:
        sys.stderr.write("DATABASE_URL is not set\n")
        return 2
    if sys.argv[1:] != ["check"]:
        asyncio.run(upgrade(database_url))
        return 0
    differences = asyncio.run(drift(database_url))
    for difference in differences:
        sys.stderr.write(f"the models and the migrations differ: {difference}\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
