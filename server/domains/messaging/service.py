"""The way of one event through the house: taken from the inbox, then answered."""

from __future__ import annotations

from uuid import UUID

from server.domains.messaging.answering import answer
from server.domains.messaging.intake import take
from server.queue import Run


async def process_event(run: Run, event_id: UUID) -> None:
    """Do all that follows from one event of the inbox; a second time changes nothing.

    Raises ProviderDownError when a reply could not be sent yet and the job should be tried again.
    """
    async with run.step() as session:
        question = await take(session, run.outside.channels, event_id)
    if question is not None:
        await answer(run, question)
