"""Make a lead of what a form posted."""

from __future__ import annotations

from server.domains import contacts
from server.queue import Run, handles
from server.queue.catalog import LeadWebhook


@handles(LeadWebhook)
async def lead_webhook_job(run: Run, payload: LeadWebhook) -> None:
    """Find or make the contact, and keep what was written; done once."""
    await contacts.take_form(run, payload.delivery_id)
