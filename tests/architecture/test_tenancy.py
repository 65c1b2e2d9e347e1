"""Every tenant table is walled, and each process's database role can do its own work alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest

ROLES = ("prosaas_api", "prosaas_worker", "prosaas_scheduler")
WITHOUT_WALL = {
    "job_pause": "what the installation's operator keeps waiting; the api cannot read it",
    "provider_account": "breakers and rate limits; its names say nothing, and the api cannot read it",
    "alembic_version": "the schema's own version",
}
WITHOUT_BUSINESS_ID = {
    "business": "it is the tenant",
    "user_account": "a person may belong to several businesses; walled by membership",
}
JOBS = ("job", "job_attempt", "job_audit", "effect")
SCHEDULES = ("schedule", "schedule_slot", "schedule_audit")
# What carries the work of all businesses is open to those who run and sweep it, and to nobody else.
OPEN: dict[str, set[str]] = {
    "prosaas_api": set(),
    "prosaas_worker": {"business", *SCHEDULES, *JOBS},
    "prosaas_scheduler": {"business", *SCHEDULES, *JOBS},
}
TABLES = """
    SELECT relname AS name, relrowsecurity AND relforcerowsecurity AS walled FROM pg_class
    WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace ORDER BY relname
"""


@pytest.fixture
async def look(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def allowed(look: asyncpg.Connection, role: str, table: str, right: str, column: str = "") -> bool:
    if column:
        return bool(
            await look.fetchval("SELECT has_column_privilege($1, $2, $3, $4)", role, table, column, right)
        )
    return bool(await look.fetchval("SELECT has_table_privilege($1, $2, $3)", role, table, right))


async def test_every_table_forces_row_level_security_or_says_why_not(look):
    rows = await look.fetch(TABLES)

    assert {row["name"] for row in rows if not row["walled"]} == set(WITHOUT_WALL)


async def test_every_tenant_table_says_whose_its_rows_are(look):
    rows = await look.fetch(TABLES)
    with_column = {
        row["table_name"]
        for row in await look.fetch(
            "SELECT table_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'business_id'"
        )
    }

    assert {row["name"] for row in rows if row["walled"]} - with_column == set(WITHOUT_BUSINESS_ID)


async def test_every_walled_table_has_a_policy(look):
    rows = await look.fetch(TABLES)
    with_policy = {row["tablename"] for row in await look.fetch("SELECT tablename FROM pg_policies")}

    assert {row["name"] for row in rows if row["walled"]} - with_policy == set()


@pytest.mark.parametrize("role", ROLES)
async def test_an_application_role_cannot_see_past_the_wall(look, role):
    row = await look.fetchrow(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = $1", role
    )
    owned = await look.fetchval("SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = $1", role)
    member_of = await look.fetchval("SELECT count(*) FROM pg_auth_members WHERE member = $1::regrole", role)

    assert not any(row.values())
    assert owned == 0
    assert member_of == 0


@pytest.mark.parametrize("role", ROLES)
async def test_a_query_that_forgot_its_filter_returns_nothing(clean_database, look, role):
    await look.execute("INSERT INTO business (id, name) VALUES (6, 'Dana')")
    await look.execute("INSERT INTO contact (business_id, name) VALUES (6, 'a customer')")

    async with look.transaction():
        await look.execute(f"SET LOCAL ROLE {role}")
        tables = [
            row["name"]
            for row in await look.fetch(TABLES)
            if row["walled"] and await allowed(look, role, row["name"], "SELECT")
        ]
        without_scope = {
            name: await look.fetchval(f'SELECT count(*) FROM "{name}"')
            for name in tables
            if name not in OPEN[role]
        }

    assert {name: count for name, count in without_scope.items() if count} == {}


async def test_the_api_cannot_run_a_job_or_invent_its_outcome(look):
    for column in ("state", "token", "attempts", "lease_until", "due_at", "finished_at", "payload"):
        assert not await allowed(look, "prosaas_api", "job", "UPDATE", column)
    for table in JOBS:
        assert not await allowed(look, "prosaas_api", table, "DELETE")
    for table in ("job_attempt", "job_audit", "effect"):
        assert not await allowed(look, "prosaas_api", table, "INSERT")
        assert not await allowed(look, "prosaas_api", table, "UPDATE")


async def test_the_api_keeps_what_came_in_as_it_came(look):
    for right in ("UPDATE", "DELETE"):
        assert not await allowed(look, "prosaas_api", "inbox_event", right)


@pytest.mark.parametrize("role", ["prosaas_api", "prosaas_worker", "prosaas_scheduler"])
async def test_nobody_deletes_a_channel_that_the_inbox_speaks_of(look, role):
    assert not await allowed(look, role, "channel", "DELETE")


async def test_the_scheduler_reads_no_message_and_no_contact(look):
    for column in ("text", "details", "quoted_provider_id"):
        assert not await allowed(look, "prosaas_scheduler", "message", "SELECT", column)
    for table in (
        "contact",
        "contact_identity",
        "conversation",
        "inbox_event",
        "lead",
        "user_account",
        "channel",
        "reminder",
        "reminder_series",
        "reminder_push_log",
        "recording",
        "media_file",
        "webhook_endpoint",
        "webhook_event",
        "webhook_delivery",
        "webhook_attempt",
        "api_request",
    ):
        assert not await allowed(look, "prosaas_scheduler", table, "SELECT")


async def test_the_api_neither_invents_what_was_done_nor_forgets_it(look):
    for table, rights in (
        ("reminder_push_log", ("INSERT", "UPDATE", "DELETE")),
        ("recording", ("INSERT", "UPDATE", "DELETE")),
        ("media_file", ("DELETE",)),
        ("reminder", ("DELETE",)),
        ("webhook_attempt", ("INSERT", "UPDATE", "DELETE")),
        ("webhook_event", ("UPDATE", "DELETE")),
        ("webhook_delivery", ("DELETE",)),
        ("api_request", ("UPDATE", "DELETE")),
        ("reminder_series", ("DELETE",)),
    ):
        for right in rights:
            assert not await allowed(look, "prosaas_api", table, right)


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE schedule SET paused_by = 'api'", "schedule"),
        ("DELETE FROM schedule", "schedule"),
        ("INSERT INTO schedule (name, watermark) VALUES ('another', now())", "schedule"),
        ("INSERT INTO schedule (name, watermark, business_id) VALUES ('another', now(), 7)", "schedule"),
        (
            "INSERT INTO schedule_slot (schedule, slot, state) VALUES ('house', now(), 'skipped')",
            "schedule_slot",
        ),
    ],
)
async def test_the_api_touches_no_schedule_but_its_businesss_own(clean_database, look, statement, table):
    await look.execute(
        "INSERT INTO business (id, name) VALUES (6, 'Dana'), (7, 'Noa');"
        "INSERT INTO schedule (name, watermark, business_id) VALUES ('house', now(), NULL), ('noa', now(), 7)"
    )
    before = await look.fetch(f"SELECT * FROM {table}")

    async with look.transaction():
        await look.execute("SELECT set_config('prosaas.businesses', '6', true)")
        await look.execute("SET LOCAL ROLE prosaas_api")
        with suppress(asyncpg.InsufficientPrivilegeError):
            async with look.transaction():
                await look.execute(statement)

    assert await look.fetch(f"SELECT * FROM {table}") == before


async def test_the_worker_keeps_no_time(look):
    for right in ("INSERT", "UPDATE"):
        assert not await allowed(look, "prosaas_worker", "schedule", right)
        assert not await allowed(look, "prosaas_worker", "schedule_slot", right)
