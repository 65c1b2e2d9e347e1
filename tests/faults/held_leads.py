"""How a job that makes leads is caught: PostgreSQL keeps from it what a form posted."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from server.queue.catalog import LeadWebhook
from tests.engine import BUSINESS
from tests.faults.held import Work, ask
from tests.processes import Installation

POSTED = UUID(int=71)
ROW = f"FROM lead_delivery WHERE id = '{POSTED}'"


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
}
