"""Take one WhatsApp event from the inbox: keep the message and the lead, and answer."""

from __future__ import annotations

from server.db import Session
from server.domains import messaging, skills
from server.queue import GivenUp, Run, gives_up, handles
from server.queue.catalog import WebhookProcess


@handles(WebhookProcess)
async def webhook_process_job(run: Run, payload: WebhookProcess) -> None:
    """Process the event; raises ProviderDownError when the answer should be tried again."""
    await messaging.process_event(run, payload.event_id, skills.Skills)


@gives_up(WebhookProcess)
async def webhook_given_up(run: Run, session: Session, payload: WebhookProcess, given_up: GivenUp) -> None:
    """Keep the customer's message, and let a person see that it was not answered."""
    await messaging.give_up_event(run, session, payload.event_id, given_up)
