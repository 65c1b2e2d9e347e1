"""Take one WhatsApp event from the inbox: keep the message and the lead, and answer."""

from __future__ import annotations

from server.domains import messaging
from server.queue import Run, handles
from server.queue.catalog import WebhookProcess


@handles(WebhookProcess)
async def webhook_process_job(run: Run, payload: WebhookProcess) -> None:
    """Process the event; raises ProviderDownError when the answer should be tried again."""
    await messaging.process_event(run, payload.event_id)
