"""The periodic jobs, run by a real worker: each ends, and a second run changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from server.jobs import inbox_cleanup_job, load_handlers
from server.ports import Outside
from server.queue import enqueue
from server.queue.catalog import (
    CleanupOldRecordings,
    InboxCleanup,
    LoginCleanup,
    RemindersCleanup,
    RemindersTick,
    WhatsappSessionsCleanup,
)
from tests.engine import eventually

SLOT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def handlers():
    load_handlers()


async def run_job(engine, payload):
    async with engine.worker.transaction() as session:
        job_id = await enqueue(session, payload)
    async with engine.working(outside=Outside(channels={})):
        return await engine.until_state(job_id, "done", "failed")


@pytest.mark.parametrize(
    "kind",
    [
        *(RemindersTick, WhatsappSessionsCleanup, RemindersCleanup),
        *(CleanupOldRecordings, InboxCleanup, LoginCleanup),
    ],
)
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


async def test_a_year_of_jobs_and_slots_is_forgotten_a_bounded_number_of_rows_at_a_time(engine, monkeypatch):
    monkeypatch.setattr(inbox_cleanup_job, "ROWS_A_RUN", 2)
    await engine.look.execute(
        "INSERT INTO job (id, kind, queue, urgency, state, finished_at)"
        " SELECT 'old' || n, 'x', 'default', 0, 'done', now() - interval '40 days'"
        " FROM generate_series(1, 3) AS n;"
        "INSERT INTO schedule (name, watermark) VALUES ('a schedule', now());"
        "INSERT INTO schedule_slot (schedule, slot, state, reason, created_at)"
        " SELECT 'a schedule', at, 'skipped', 'old', at"
        " FROM generate_series(1, 5) AS n, LATERAL (SELECT now() - n * interval '40 days') AS past (at)"
    )
    async with engine.worker.transaction() as session:
        job_id = await enqueue(session, InboxCleanup(SLOT))

    async with engine.working():
        assert await engine.until_dispatched_and(job_id, "done", "failed") == "done"

    assert await engine.look.fetchval("SELECT count(*) FROM job WHERE kind = 'x'") == 0
    assert await engine.look.fetchval("SELECT count(*) FROM schedule_slot") == 0
    assert await engine.look.fetchval("SELECT attempts FROM job WHERE id = $1", job_id) == 1
