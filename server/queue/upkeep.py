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


async def forget_finished_jobs(run: Run, *, older_than_days: int, limit: int) -> int:
    """Delete old finished jobs with their attempts; failed ones stay until looked at. Return how many."""
    return await _forget(run, FORGET_JOBS, older_than_days, limit)


async def forget_old_slots(run: Run, *, older_than_days: int, limit: int) -> int:
    """Delete old slots; return how many."""
    return await _forget(run, FORGET_SLOTS, older_than_days, limit)


async def _forget(run: Run, statement: str, older_than_days: int, limit: int) -> int:
    async with run.database.driver() as connection:
        command: str = await connection.execute(statement, older_than_days, limit)
    return int(command.rpartition(" ")[2])
