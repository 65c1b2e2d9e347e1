"""Find out what the assistant would answer to a question that its owner tries."""

from __future__ import annotations

from server.domains import assistant, skills
from server.queue import Run, handles
from server.queue.catalog import AssistantTry


@handles(AssistantTry)
async def assistant_try_job(run: Run, payload: AssistantTry) -> None:
    """Draft the answer and keep it for the page; nothing is sent, and no tool does anything."""
    await assistant.answer_trial(run, payload.trial_id, skills.TOOLS)
