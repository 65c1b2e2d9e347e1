"""A worker killed in the midst of a file of leads: another one goes on, and no row is taken twice."""

from __future__ import annotations

import pytest

from server.queue.catalog import LeadImportRows
from tests.engine import BUSINESS, eventually
from tests.faults.held import ask
from tests.faults.held_leads import FILE

ROWS = 4000
BRING = """
WITH file AS (
    INSERT INTO lead_import (id, business_id, file_name, state, made_by)
    VALUES ($2, $1, 'leads.csv', 'running', 'test') RETURNING id),
listening AS (
    INSERT INTO webhook_endpoint (business_id, url, events, secret_encrypted)
    VALUES ($1, 'http://127.0.0.1:1/', '{lead.created,lead.status_changed}', 'sealed'))
INSERT INTO lead_import_row (business_id, import_id, line, fields)
SELECT $1, file.id, line, jsonb_build_object('email', line % 3000 || '@example.com', 'budget', line::text)
FROM file, generate_series(2, $3 + 1) AS line
"""
TAKEN = "SELECT count(*) FROM lead_import_row WHERE state = 'added'"


@pytest.mark.slow
@pytest.mark.fault("F1")
async def test_a_worker_killed_twice_in_a_file_of_leads_takes_no_row_twice(stopped):
    await stopped.value(BRING, BUSINESS, FILE, ROWS)
    [job_id] = await ask(stopped, LeadImportRows(FILE), business_id=BUSINESS)
    await stopped.start("scheduler")
    killed_at = []
    for least in (200, 1000):
        await stopped.start("worker", WORKER_QUEUES="low")

        async def is_far_enough(least=least):
            return await stopped.value(TAKEN) >= least

        await eventually(is_far_enough, within_s=60, what=f"{least} rows")
        await stopped.kill("worker")
        killed_at.append(await stopped.value(TAKEN))

    await stopped.start("worker", WORKER_QUEUES="low")

    async def is_done():
        return await stopped.value("SELECT state FROM lead_import") == "done"

    await eventually(is_done, within_s=90, what="the end of the file")
    assert killed_at[0] < killed_at[1] < ROWS
    assert await stopped.value("SELECT attempts FROM job WHERE id = $1", job_id) == 3
    assert await stopped.value(TAKEN) == ROWS
    assert await stopped.value("SELECT count(*) FROM lead_activity WHERE kind = 'import'") == ROWS
    for table in ("contact", "lead", "webhook_event", "webhook_delivery"):
        assert (table, await stopped.value(f"SELECT count(*) FROM {table}")) == (table, 3000)
    assert await stopped.broken_promises() == []
