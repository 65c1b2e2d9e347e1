"""How a job that makes leads is caught: PostgreSQL keeps from it what a form posted."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from server.queue.catalog import LeadImportRows, LeadsMoved, LeadWebhook
from tests.engine import BUSINESS
from tests.faults.held import Work, ask
from tests.processes import Installation

POSTED, FILE = UUID(int=71), UUID(int=72)
ROW = f"FROM lead_delivery WHERE id = '{POSTED}'"

TOLD = "FROM webhook_event WHERE type = 'lead.status_changed'"
ROWS = f"FROM lead_import_row WHERE import_id = '{FILE}'"


async def bring_a_file(house: Installation) -> None:
    """Have a file with one row more than fit into a slice."""
    await house.value(
        "WITH file AS (INSERT INTO lead_import (id, business_id, file_name, state, made_by)"
        "  VALUES ($2, $1, 'leads.csv', 'running', 'test') RETURNING id)"
        " INSERT INTO lead_import_row (business_id, import_id, line, fields)"
        " SELECT $1, file.id, line, jsonb_build_object('email', line || '@example.com')"
        " FROM file, generate_series(1, 101) AS line",
        BUSINESS,
        FILE,
    )


async def post_a_lead(house: Installation) -> None:
    """Have a form that posted somebody's phone."""
    await house.value(
        "WITH form AS (INSERT INTO lead_form (business_id, name, token_digest)"
        "  VALUES ($1, 'site', repeat('7', 64)) RETURNING id)"
        " INSERT INTO lead_delivery (id, business_id, form_id, dedup_key, body)"
        " SELECT $2, $1, form.id, 'one', '{\"phone\": \"+972509876543\"}' FROM form",
        BUSINESS,
        POSTED,
    )


async def empty_a_stage(house: Installation) -> None:
    """Have one lead more than fit into a slice that moved, and an endpoint, which nobody may reach."""
    await house.value(
        "INSERT INTO webhook_endpoint (business_id, url, events, secret_encrypted)"
        " VALUES ($1, 'http://127.0.0.1:1/', '{lead.status_changed}', 'sealed')",
        BUSINESS,
    )
    await house.value(
        "WITH moved AS (INSERT INTO contact (business_id, name)"
        "  SELECT $1, 'moved' FROM generate_series(1, 101) RETURNING id),"
        " lead AS (INSERT INTO lead (business_id, contact_id, source) SELECT $1, id, 'form' FROM moved)"
        " INSERT INTO lead_activity (business_id, contact_id, kind, actor, data)"
        ' SELECT $1, id, \'stage\', \'test\', \'{"from": "Visit", "to": "Won"}\' FROM moved',
        BUSINESS,
    )


async def tell_of_moves(house: Installation) -> None:
    """Ask for the job that tells of them."""
    first, last = [
        await house.value(f"SELECT {end}(position) FROM lead_activity WHERE actor = 'test'")
        for end in ("min", "max")
    ]
    await ask(house, LeadsMoved(first, last), business_id=BUSINESS)


WORKS: Mapping[str, Work] = {
    "lead_webhook_job": Work(
        f"SELECT {ROW} FOR UPDATE",
        lambda house: ask(house, LeadWebhook(POSTED), business_id=BUSINESS),
        f"SELECT state = 'stored' {ROW}",
        f"SELECT state = 'done' {ROW}",
        after=post_a_lead,
    ),
    # The second slice waits for its row.
    "lead_import_rows_job": Work(
        f"SELECT {ROWS} AND line = 101 FOR UPDATE",
        lambda house: ask(house, LeadImportRows(FILE), business_id=BUSINESS),
        f"SELECT count(*) = 100 {ROWS} AND state = 'added'",
        f"SELECT count(*) = 101 {ROWS} AND state = 'added'",
        after=bring_a_file,
    ),
    "leads_moved_job": Work(
        "SELECT FROM webhook_endpoint WHERE events = '{lead.status_changed}' FOR UPDATE",
        tell_of_moves,
        f"SELECT count(*) = 0 {TOLD}",
        f"SELECT count(*) = 101 {TOLD}",
        after=empty_a_stage,
    ),
}
