"""Dana owns business A, Eli works there, Noa is a stranger from business B."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest

from server.db import Database
from server.domains import accounts

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class People:
    business_a: int
    business_b: int
    dana: UUID
    eli: UUID
    noa: UUID


@pytest.fixture
async def database(clean_database: str) -> AsyncIterator[Database]:
    opened = Database(clean_database, role="prosaas_api")
    yield opened
    await opened.aclose()


@pytest.fixture
async def people(database: Database) -> People:
    async with database.transaction() as session:
        business_a = await accounts.create_business(session, name="Dana's Locks", language="en")
        business_b = await accounts.create_business(session, name="Noa's Flowers")
        dana = await accounts.create_user(
            session, email="Dana@Example.com", name="Dana", business_id=business_a, password=PASSWORD
        )
        eli = await accounts.create_user(
            session, email="eli@example.com", name="Eli", business_id=business_a, role="member"
        )
        noa = await accounts.create_user(
            session, email="noa@example.com", name="Noa", business_id=business_b, password=PASSWORD
        )
    return People(business_a, business_b, dana, eli, noa)
