"""The demo business."""

from __future__ import annotations

import secrets

import asyncpg
import pytest

from server.db import Database
from server.db.tenancy import credential_digest
from server.domains import accounts
from server.errors import StartRefusedError
from server.stack.demo import Demo, connect_simulated_number, new_admin_link, seed

COUNTS = """
    SELECT (SELECT count(*) FROM business), (SELECT count(*) FROM user_account),
           (SELECT count(*) FROM channel),
           (SELECT count(*) FROM knowledge_entry WHERE language = 'he'),
           (SELECT count(*) FROM knowledge_entry WHERE language = 'en')
"""


@pytest.fixture
def demo(clean_database):
    return Demo(
        database_url=clean_database,
        secret_key=secrets.token_urlsafe(36),
        public_url="http://127.0.0.1:8000",
        simulator_url="http://127.0.0.1:8002",
        bridge_secret="first secret",
    )


async def fetch(url: str, query: str) -> asyncpg.Record:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchrow(query)
    finally:
        await connection.close()


async def test_a_second_start_changes_nothing(demo):
    await seed(demo)
    once = await fetch(demo.database_url, COUNTS)

    await seed(demo)

    assert await fetch(demo.database_url, COUNTS) == once
    assert tuple(once[:3]) == (1, 1, 1)
    assert once[3] >= 10
    assert once[4] >= 10


async def test_what_the_owner_changed_stays_changed(demo):
    await seed(demo)
    await fetch(demo.database_url, "DELETE FROM knowledge_entry WHERE language = 'en'")

    await seed(demo)

    assert (await fetch(demo.database_url, COUNTS))[4] == 0


async def test_the_bridge_follows_the_secret_and_address_of_each_start(demo):
    await seed(demo)
    moved = Demo(**{**vars(demo), "bridge_secret": "second secret", "simulator_url": "http://127.0.0.1:9"})

    await seed(moved)

    channel = await fetch(demo.database_url, "SELECT base_url, token_digest, tenant FROM channel")
    assert tuple(channel) == ("http://127.0.0.1:9/bridge", credential_digest("second secret"), "business_6")


async def test_the_simulated_number_keeps_its_channel_and_gets_new_secrets_at_each_start(demo):
    await seed(demo)
    first = await connect_simulated_number(demo)

    second = await connect_simulated_number(demo)

    kept = ("channel_id", "verify_token", "phone_number_id", "waba_id")
    assert [first[name] for name in kept] == [second[name] for name in kept]
    assert first["app_secret"] != second["app_secret"]
    numbers = await fetch(demo.database_url, "SELECT count(*) FROM channel WHERE kind = 'whatsapp_cloud'")
    assert tuple(numbers) == (1,)


async def test_the_admin_link_lets_the_owner_in_once(demo):
    link = await seed(demo)
    token = link.removeprefix("http://127.0.0.1:8000/enter/")
    database = Database(demo.database_url, role="prosaas_api")

    session_token = await accounts.use_entry_link(database, token)
    again = await accounts.use_entry_link(database, token)
    await database.aclose()

    assert session_token
    assert again is None


async def test_another_link_can_be_asked_for(demo):
    first = await seed(demo)

    second = await new_admin_link(demo.database_url, demo.public_url)

    assert second.startswith("http://127.0.0.1:8000/enter/")
    assert second != first


async def test_a_database_whose_business_6_is_somebody_elses_is_refused(demo):
    await fetch(demo.database_url, "INSERT INTO business (id, name) VALUES (6, 'A real shop')")

    with pytest.raises(StartRefusedError, match="is not the demo"):
        await seed(demo)

    assert tuple((await fetch(demo.database_url, COUNTS))[:3]) == (1, 0, 0)
