"""Migration 0002, on a database that was in use."""

from __future__ import annotations

import asyncpg
import pytest

from server.db import Database
from server.db.migrate import upgrade
from server.db.tenancy import credential_digest
from server.domains.messaging import Delivery, Receiver
from server.ports import RawEvent

SECRET = credential_digest("danas secret")
# What the code before 0002 writes for each event.
BEFORE = """
INSERT INTO inbox_event (business_id, channel_id, event_id, lane, payload, payload_hash)
SELECT 6, id, $1, 'chat', '{"key": "first"}', '\\x00' FROM channel
"""


@pytest.fixture
async def used(own_postgres):
    """A database as 0001 made it, with a business, its channel and one event."""
    await own_postgres.ensure_database("used")
    url = own_postgres.url("used")
    await upgrade(url, to="0001")
    connection = await asyncpg.connect(url)
    await connection.execute("INSERT INTO business (id, name) VALUES (6, 'Dana')")
    await connection.execute(
        "INSERT INTO channel (business_id, kind, base_url, secret_encrypted, token_digest)"
        " VALUES (6, 'whatsapp_bridge', 'http://127.0.0.1:1', '', $1)",
        SECRET,
    )
    await connection.execute(BEFORE, "before")
    yield connection, url
    await connection.close()


async def test_what_was_there_stays_and_the_code_of_before_goes_on_beside_the_new(used):
    connection, url = used

    await upgrade(url)
    await connection.execute(BEFORE, "beside")
    database = Database(url, role="prosaas_api")
    events = [RawEvent(one, "chat", {"key": "other"}) for one in ("before", "beside", "after")]
    stored = await Receiver(database).receive(Delivery(SECRET, 6, events))
    await database.aclose()

    assert stored == 3
    rows = await connection.fetch("SELECT event_id, payload ->> 'key' AS key FROM inbox_event ORDER BY 1")
    assert [tuple(row) for row in rows] == [("after", "other"), ("before", "first"), ("beside", "first")]
    assert await connection.fetchval("SELECT count(*) FROM inbox_conflict") == 2
    assert await connection.fetchval("SELECT count(*) FROM job") == 1
