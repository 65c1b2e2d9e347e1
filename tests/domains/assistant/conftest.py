"""Dana's locksmith knows what the demo's knows; Noa's flowers know of flowers alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from server.db import Database
from server.domains import accounts, assistant
from server.stack.demo_knowledge import ENGLISH, HEBREW


@dataclass(frozen=True)
class Businesses:
    locksmith: int
    flowers: int


@pytest.fixture
async def database(clean_database: str) -> AsyncIterator[Database]:
    api = Database(clean_database, role="prosaas_api")
    worker = Database(clean_database, role="prosaas_worker")
    async with api.transaction() as session:
        await accounts.create_business(session, name="מנעולי דנה", language="he", business_id=6)
        await accounts.create_business(session, name="Noa's Flowers", language="en", business_id=9)
    async with worker.transaction(6) as session:
        for language, entries in (("he", HEBREW), ("en", ENGLISH)):
            for title, body in entries:
                await assistant.add_knowledge(session, 6, title=title, body=body, language=language)
    async with worker.transaction(9) as session:
        await assistant.add_knowledge(session, 9, title="Tulips", body="Ten tulips cost 40.", language="en")
    yield worker
    await api.aclose()
    await worker.aclose()


@pytest.fixture
def businesses(database: Database) -> Businesses:
    return Businesses(locksmith=6, flowers=9)
