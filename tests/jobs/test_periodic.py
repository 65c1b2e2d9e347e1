"""The periodic jobs, run by a real worker: each ends, and a second run changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from server.jobs import load_handlers
from server.ports import Outside
from server.queue.catalog import InboxCleanup, LoginCleanup, WhatsappSessionsCleanup
from tests.engine import eventually

SLOT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def handlers():
    load_handlers()


async def run_job(engine, payload):
    from server.queue import enqueue

    async with engine.worker.transaction() as session:
        job_id = await enqueue(session, payload)
    async with engine.working(outside=Outside(channels={})):
        return await engine.until_state(job_id, "done", "failed")


@pytest.mark.parametrize("kind", [WhatsappSessionsCleanup, InboxCleanup, LoginCleanup])
async def test_a_periodic_job_ends_well_with_nothing_to_do(engine, kind):
    assert await run_job(engine, kind(SLOT)) == "done"


async def test_expired_logins_of_every_business_are_deleted_and_live_ones_stay(engine):
    user = await engine.look.fetchval(
        "INSERT INTO user_account (email, name) VALUES ('dana@example.test', 'Dana') RETURNING id"
    )
    for digest, business_id, expiry in (("old6", 6, "-2 days"), ("old9", 9, "-2 days"), ("live", 6, "1 day")):
        await engine.look.execute(
            "INSERT INTO login_session (token_digest, business_id, user_id, csrf_token, expires_at)"
            f" VALUES ($1, $2, $3, 'x', now() + interval '{expiry}')",
            digest,
            business_id,
            user,
        )

    await run_job(engine, LoginCleanup(SLOT))

    kept = await engine.look.fetch("SELECT token_digest FROM login_session")
    assert [row["token_digest"] for row in kept] == ["live"]


async def test_finished_jobs_are_forgotten_after_a_month_and_failed_ones_are_kept(engine):
    await engine.look.execute(
        "INSERT INTO job (id, kind, queue, urgency, state, finished_at) VALUES"
        " ('old', 'x', 'default', 0, 'done', now() - interval '40 days'),"
        " ('bad', 'x', 'default', 0, 'failed', now() - interval '40 days'),"
        " ('new', 'x', 'default', 0, 'done', now() - interval '4 days')"
    )

    await run_job(engine, InboxCleanup(SLOT))

    async def forgotten():
        rows = await engine.look.fetch("SELECT id FROM job WHERE kind = 'x' ORDER BY id")
        return [row["id"] for row in rows] == ["bad", "new"]

    await eventually(forgotten)
