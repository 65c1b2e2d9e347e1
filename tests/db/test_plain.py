"""What is written in SQL is run by the driver, within the session's own transaction and savepoints."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError, NoResultFound

import server.domains.accounts  # noqa: F401 -- contacts belong to a table of its models
from server.db import Database, text
from server.db.plain import plain_of
from server.domains.contacts.models import Contact
from tests.engine import BUSINESS

INSERT = "INSERT INTO contact (business_id, name) VALUES (:business_id, :name) RETURNING id"
AGAIN = "INSERT INTO contact (business_id, id) SELECT :business_id, id FROM contact"
NAMES = "SELECT name FROM contact ORDER BY name LIMIT 10"


@pytest.fixture
async def database(clean_database, look):
    await look.execute("INSERT INTO business (id, name) VALUES ($1, 'one') ON CONFLICT DO NOTHING", BUSINESS)
    opened = Database(clean_database, role="prosaas_worker", pool_size=2)
    yield opened
    await opened.aclose()


async def insert(session, name):
    return await session.scalar(text(INSERT), {"business_id": BUSINESS, "name": name})


async def names(session):
    return list(await session.scalars(text(NAMES)))


async def test_text_and_models_see_each_other_s_writes(database):
    async with database.transaction(BUSINESS) as session:
        contact_id = await insert(session, "Dana")
        contact = await session.get(Contact, contact_id)
        session.add(Contact(business_id=BUSINESS, name="Noa"))
        await session.flush()

        assert contact.name == "Dana"
        assert await names(session) == ["Dana", "Noa"]
        assert await session.scalar(select(func.count()).select_from(Contact)) == 2


async def test_what_a_savepoint_takes_back_text_wrote_too(database):
    async with database.transaction(BUSINESS) as session:
        await insert(session, "Dana")
        with pytest.raises(KeyError):
            async with session.begin_nested():
                await insert(session, "Noa")
                raise KeyError

        assert await names(session) == ["Dana"]
    async with database.transaction(BUSINESS) as session:
        assert await names(session) == ["Dana"]


async def test_a_constraint_s_no_is_the_library_s_error_and_ends_at_the_savepoint(database):
    async with database.transaction(BUSINESS) as session:
        await insert(session, "Dana")
        with pytest.raises(IntegrityError) as refused:
            async with session.begin_nested():
                await session.execute(text(AGAIN), {"business_id": BUSINESS})

        assert "Dana" not in str(refused.value)
        assert await names(session) == ["Dana"]


async def test_the_last_statement_goes_with_the_commit_and_forbids_it(database):
    async with database.transaction(BUSINESS, last="SELECT 1") as session:
        await insert(session, "Dana")
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with database.transaction(BUSINESS, last="SELECT 1 / 0") as session:
            await insert(session, "Noa")

    async with database.transaction(BUSINESS) as session:
        assert await names(session) == ["Dana"]


async def test_rows_are_the_library_s_whatever_they_hold(database):
    query = text("SELECT 1 AS one, '{\"two\": [2]}'::jsonb AS two, NULL AS three WHERE :there")
    async with database.transaction(BUSINESS) as session:
        row = (await session.execute(query, {"there": True})).one()
        none = await session.execute(query, {"there": False})

        assert (row.one, row.two, row.three) == (1, {"two": [2]}, None)
        assert dict(row._mapping) == {"one": 1, "two": {"two": [2]}, "three": None}
        assert none.first() is None
        assert (await session.execute(query, {"there": False})).mappings().all() == []
        assert await session.scalar(query, {"there": False}) is None
        with pytest.raises(NoResultFound):
            (await session.execute(query, {"there": False})).one()


async def test_no_more_connections_are_opened_than_the_pool_holds(database, look):
    async def sleep():
        async with database.transaction(BUSINESS) as session:
            await session.execute(text("SELECT pg_sleep(0.05)"))
            return await session.scalar(text("SELECT pg_backend_pid()"))

    assert len(set(await asyncio.gather(*[sleep() for _ in range(8)]))) == 2


def test_a_value_that_needs_a_type_of_the_library_s_is_left_to_it():
    typed = text("SELECT :told").bindparams(bindparam("told", type_=JSONB))

    assert plain_of(text("SELECT :told")) is not None
    assert plain_of(typed) is None


def test_the_same_words_are_one_statement():
    assert text(NAMES) is text("".join(NAMES))
    plain = plain_of(text("SELECT :a, :b, :a, cast(:b AS text)::text"))

    assert plain is not None
    assert (plain.sql, plain.names) == ("SELECT $1, $2, $1, cast($2 AS text)::text", ("a", "b"))
