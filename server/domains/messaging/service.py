"""The way of one event through the house, taken from the inbox, then answered; and what other domains ask."""

from __future__ import annotations

import asyncio
from uuid import UUID

from server.db import Session
from server.domains import assistant
from server.domains.messaging import queries
from server.domains.messaging.answering import answer, decide
from server.domains.messaging.intake import take
from server.queue import Changed, Run


async def process_event(run: Run, event_id: UUID, toolboxes: assistant.Toolboxes | None = None) -> None:
    """Do all that follows from one event of the inbox; a second time changes nothing.

    `toolboxes` make what the assistant may do besides answering; without them it only answers.
    Raises ProviderDownError when a reply could not be sent yet and the job should be tried again.
    """
    async with run.step() as session:
        question = await take(session, run.outside.channels, event_id)
        decided = None
        if question is not None and question.quiet_left_s == 0:
            decided = await decide(run, session, question)
    if question is None:
        return
    if decided is None:
        await asyncio.sleep(question.quiet_left_s)
        async with run.step() as session:
            decided = await decide(run, session, question)
    await answer(run, question, decided, toolboxes)


async def call_person(session: Session, business_id: int, conversation_id: UUID) -> None:
    """Ask people to look at a conversation; open pages show it once this transaction commits."""
    await queries.mark_needs_person(session, conversation_id)
    session.outbox.append(Changed(business_id, "conversation", conversation_id))
