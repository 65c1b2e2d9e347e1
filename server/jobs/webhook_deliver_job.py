"""Tell one of a business's webhook endpoints an event."""

from __future__ import annotations

from server.db import Session
from server.domains import integrations
from server.queue import GivenUp, Run, gives_up, handles
from server.queue.catalog import WebhookDeliver


@handles(WebhookDeliver)
async def webhook_deliver_job(run: Run, payload: WebhookDeliver) -> None:
    """Make one try; a try that failed asks for the next one's job itself."""
    await integrations.deliver(run, payload.delivery_id, payload.number)


@gives_up(WebhookDeliver)
async def webhook_delivery_given_up(
    _run: Run, session: Session, payload: WebhookDeliver, given_up: GivenUp
) -> None:
    """Show that the event was not told."""
    await integrations.give_up(session, payload.delivery_id, payload.number, given_up)
