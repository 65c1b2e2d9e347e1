"""Dana owns business A, Noa business B; both shops have customers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from server.db import Database
from server.domains import accounts
from server.queue import schedules
from server.queue.connection import connect_redis
from tests.web.site import Site, open_site
from tests.web.story import Story

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Shops:
    dana: Story
    noa: Story
    links: dict[str, str]


@pytest.fixture
async def shops(clean_database: str) -> AsyncIterator[Shops]:
    database = Database(clean_database, role="prosaas_api")
    connection = await asyncpg.connect(clean_database)
    stories, links = [], {}
    for name, language in (("dana", "en"), ("noa", "he")):
        async with database.transaction() as session:
            business_id = await accounts.create_business(session, name=f"{name}'s shop", language=language)
            user_id = await accounts.create_user(
                session, email=f"{name}@example.com", name=name, business_id=business_id, password=PASSWORD
            )
            links[name] = await accounts.issue_entry_link(session, business_id, user_id)
        stories.append(Story(connection, business_id))
        await stories[-1].open_channel()
    yield Shops(stories[0], stories[1], links)
    await connection.close()
    await database.aclose()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = connect_redis(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def site(clean_database: str, redis: Redis, free_port: int) -> AsyncIterator[Site]:
    async with open_site(
        clean_database,
        free_port,
        simulator_url="http://127.0.0.1:9",
        timekeeper=partial(schedules.timekeeper, redis),
    ) as opened:
        yield opened


@pytest.fixture
async def dana(site: Site, shops: Shops) -> AsyncIterator[httpx.AsyncClient]:
    """Dana's browser, logged in by her one-time link."""
    async with site.visitor() as browser:
        await browser.get(f"/enter/{shops.links['dana']}")
        yield browser


@pytest.fixture
async def noa(site: Site, shops: Shops) -> AsyncIterator[httpx.AsyncClient]:
    """Noa's browser, logged in by her one-time link."""
    async with site.visitor() as browser:
        await browser.get(f"/enter/{shops.links['noa']}")
        yield browser


def form_token(page: httpx.Response) -> str:
    """The token in a page's form."""
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found
    return found[1]
