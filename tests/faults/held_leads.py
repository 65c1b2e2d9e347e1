"""How a job that makes leads is caught: PostgreSQL keeps from it what a form posted."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from server.queue.catalog import LeadImportRows, LeadWebhook
from tests.engine import BUSINESS
from tests.faults.held import Work, ask
from tests.processes import Installation

POSTED, FILE = UUID(int=71), UUID(int=72)
ROW = f"FROM lead_delivery WHERE id = '{POSTED}'"

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
}
