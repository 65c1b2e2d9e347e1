"""Reminders that ended long ago are forgotten with what was logged of them."""

from __future__ import annotations

from server.domains import reminders
from server.jobs import reminders_cleanup_job
from server.queue.catalog import RemindersCleanup
from server.queue.ledger import Outcome
from tests.domains.reminders.conftest import SLOT
from tests.engine import BUSINESS

DAYS = 60 * 24
OLD = """
INSERT INTO reminder (business_id, text, due_at, made_by, state, ended_at)
SELECT 6, 'x', now(), 'Dana', 'done', now() - interval '91 days' FROM generate_series(1, $1)
"""


async def test_what_ended_ninety_days_ago_goes_with_its_log_and_what_is_open_stays(agenda):
    ended, _ = await agenda.set(40), await agenda.set(40)
    await agenda.passes(60)
    await agenda.tick()
    async with agenda.engine.api.transaction(BUSINESS) as session:
        await reminders.complete(session, ended)
    await agenda.passes(91 * DAYS)
    newer = await agenda.set(40)
    async with agenda.engine.api.transaction(BUSINESS) as session:
        await reminders.cancel(session, newer)

    first = await agenda.run(RemindersCleanup(SLOT))
    await agenda.again(first.claim.job_id)

    assert await agenda.rows("SELECT state FROM reminder ORDER BY state") == [("cancelled",), ("open",)]
    assert await agenda.look("SELECT count(*) FROM reminder_push_log WHERE reminder_id = $1", ended) == 0
    assert await agenda.look("SELECT count(*) FROM reminder_push_log") == 3


async def test_a_large_backlog_goes_run_by_run(agenda, monkeypatch):
    monkeypatch.setattr(reminders_cleanup_job, "ROWS_A_RUN", 1500)
    await agenda.look(OLD, 2600)

    first = await agenda.run(RemindersCleanup(SLOT))
    left = await agenda.look("SELECT count(*) FROM reminder")
    second = await agenda.again(first.claim.job_id)

    assert (first.ending.outcome, left) == (Outcome.SNOOZED, 1100)
    assert second.ending.outcome is Outcome.DONE
    assert await agenda.look("SELECT count(*) FROM reminder") == 0


async def test_a_stopped_series_goes_once_its_reminders_are_gone(agenda):
    async with agenda.engine.api.transaction(BUSINESS) as session:
        series_id = await reminders.repeat(
            session, BUSINESS, text="x", cron="0 9 * * *", label="x", by="Dana"
        )
        await reminders.stop_repeating(session, series_id, by="Dana")
    await agenda.passes(91 * DAYS)

    await agenda.run(RemindersCleanup(SLOT))

    assert await agenda.look("SELECT count(*) FROM reminder_series") == 0
