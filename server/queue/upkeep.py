"""Forgetting work that is long done, so that cost grows with work and not with history."""

from __future__ import annotations

from server.queue.run import Run

FORGET_JOBS = """
DELETE FROM job WHERE id IN (
    SELECT id FROM job
    WHERE finished_at < now() - $1::int * interval '1 day' AND state IN ('done', 'expired', 'cancelled')
    ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""
FORGET_SLOTS = """
DELETE FROM schedule_slot WHERE (schedule, slot) IN (
    SELECT schedule, slot FROM schedule_slot
    WHERE created_at < now() - $1::int * interval '1 day' ORDER BY created_at LIMIT $2)
"""


async def forget_finished_jobs(run: Run, *, older_than_days: int, limit: int) -> None:
    """Delete old finished jobs with their attempts, and old slots; failed ones stay until looked at."""
    async with run.database.driver() as connection:
        await connection.execute(FORGET_JOBS, older_than_days, limit)
        await connection.execute(FORGET_SLOTS, older_than_days, limit)
