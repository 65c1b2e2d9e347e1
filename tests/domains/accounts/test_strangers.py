"""Noa has every credential there is for business B; none shows a row of business A."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from server.db import Database
from server.db.tenancy import credential_digest
from server.domains import accounts
from tests.domains.accounts.conftest import PASSWORD, People

TENANT_TABLES = ("business", "user_account", "membership", "login_session", "entry_link", "api_key")


@pytest.fixture
async def doors(database: Database, people: People) -> list[str]:
    """Give both businesses one of everything; return the digests of Noa's credentials."""
    digests = []
    for business_id, user_id, email in (
        (people.business_a, people.dana, "dana@example.com"),
        (people.business_b, people.noa, "noa@example.com"),
    ):
        async with database.transaction(business_id) as session:
            link = await accounts.issue_entry_link(session, business_id, user_id)
            _, key = await accounts.create_api_key(session, business_id, "key")
        token = await accounts.log_in(
            database, accounts.Attempts(), email=email, password=PASSWORD, address="10.0.0.1"
        )
        digests = [credential_digest(secret) for secret in (email, link, key, token)]
    return digests


@pytest.mark.parametrize("table", TENANT_TABLES)
async def test_a_query_without_a_filter_shows_noa_only_her_own(
    database: Database, people: People, doors: list[str], table: str
) -> None:
    column = {"business": "id", "user_account": "email"}.get(table, "business_id")
    async with database.transaction(people.business_b, credentials=doors, user_id=people.noa) as session:
        seen = set((await session.scalars(text(f"SELECT {column} FROM {table}"))).all())
    assert seen == ({"noa@example.com"} if table == "user_account" else {people.business_b})


@pytest.mark.parametrize("table", TENANT_TABLES)
async def test_a_transaction_of_nobody_sees_nothing(
    database: Database, people: People, doors: list[str], table: str
) -> None:
    async with database.transaction() as session:
        assert (await session.execute(text(f"SELECT 1 FROM {table}"))).all() == []


async def test_noa_cannot_revoke_danas_key_or_change_her_password(
    database: Database, people: People, doors: list[str]
) -> None:
    async with database.transaction(people.business_a) as session:
        key_id, key = await accounts.create_api_key(session, people.business_a, "Dana's")
    async with database.transaction(people.business_b, user_id=people.noa) as session:
        assert not await accounts.revoke_api_key(session, key_id)
        await session.execute(text("UPDATE user_account SET password_hash = 'mine now'"))
    assert await accounts.find_api_key(database, key)
    assert await accounts.log_in(
        database, accounts.Attempts(), email="dana@example.com", password=PASSWORD, address="10.0.0.1"
    )


async def test_eli_and_dana_see_each_other_in_their_business(database: Database, people: People) -> None:
    async with database.transaction(people.business_a) as session:
        names = (await session.scalars(text("SELECT name FROM user_account ORDER BY name"))).all()
    assert names == ["Dana", "Eli"]
