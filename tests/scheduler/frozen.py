"""A database whose clock stands where a test puts it, for a product that knows no other clock.

Whatever says `now()` there finds this function before PostgreSQL's own, in statements and in functions that
were made before it. Defaults of columns keep the real time: no decision is made by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from tests.servers import TestServers, clone_template

MAKE = """
CREATE SCHEMA frozen;
CREATE TABLE frozen.clock (shows timestamptz NOT NULL);
INSERT INTO frozen.clock VALUES ('2000-01-01Z');
CREATE FUNCTION frozen.now() RETURNS timestamptz LANGUAGE sql STABLE SECURITY DEFINER
    AS 'SELECT shows FROM frozen.clock';
GRANT USAGE ON SCHEMA frozen TO PUBLIC;
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = frozen, pg_catalog, public', current_database());
END $$
"""


@dataclass(frozen=True)
class Clock:
    """The clock of a frozen database."""

    connection: asyncpg.Connection

    async def show(self, moment: datetime) -> None:
        """Put it forward, or back."""
        await self.connection.execute("UPDATE frozen.clock SET shows = $1", moment)


async def frozen_database(servers: TestServers, name: str) -> str:
    """Make a fresh migrated database with a clock of its own; return its address."""
    url = await clone_template(servers, name)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(MAKE)
    finally:
        await connection.close()
    return url
