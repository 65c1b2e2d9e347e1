"""Conclude a job that ended without its handler having had the last word."""

from __future__ import annotations

from server.queue import Run, conclude, handles
from server.queue.catalog import JobGivenUp


@handles(JobGivenUp)
async def job_given_up_job(run: Run, payload: JobGivenUp) -> None:
    """Call off what the job had planned, and let its kind tell people."""
    await conclude(run, payload.job_id)
