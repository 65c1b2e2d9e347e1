"""Send one message that a person, or a program of theirs, asked for."""

from __future__ import annotations

from server.db import Session
from server.domains import messaging
from server.queue import GivenUp, Run, gives_up, handles
from server.queue.catalog import MessageSend


@handles(MessageSend)
async def message_send_job(run: Run, payload: MessageSend) -> None:
    """Send it; raises ProviderDownError when that should be tried again."""
    await messaging.send_letter(run, payload.message_id)


@gives_up(MessageSend)
async def message_given_up(_run: Run, session: Session, payload: MessageSend, given_up: GivenUp) -> None:
    """Show its writer that it was not sent, or that nobody knows."""
    await messaging.give_up_letter(session, payload.message_id, given_up)
