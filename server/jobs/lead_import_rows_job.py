"""Take the rows of a file of leads."""

from __future__ import annotations

from server.db import Session
from server.domains import contacts
from server.queue import GivenUp, Run, gives_up, handles
from server.queue.catalog import LeadImportRows


@handles(LeadImportRows)
async def lead_import_rows_job(run: Run, payload: LeadImportRows) -> None:
    """Take them a slice at a time; what was taken stays."""
    await contacts.take_rows(run, payload.import_id)


@gives_up(LeadImportRows)
async def lead_import_given_up(
    _run: Run, session: Session, payload: LeadImportRows, given_up: GivenUp
) -> None:
    """Show that it ended early."""
    await contacts.end_import(session, payload.import_id, contacts.STOPPED, job_id=given_up.job_id)
