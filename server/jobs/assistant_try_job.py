"""Find out what the assistant would answer to a question that its owner tries."""

from __future__ import annotations

from server.domains import assistant, contacts, skills
from server.queue import Run, handles
from server.queue.catalog import AssistantTry


@handles(AssistantTry)
async def assistant_try_job(run: Run, payload: AssistantTry) -> None:
    """Draft the answer and keep it for the page; nothing is sent, and no tool does anything."""
    if run.business_id is None:
        raise LookupError("a trial is a business's own")
    async with run.step() as session:
        stages = await contacts.open_stages(session, run.business_id)
    tools = skills.tools_for([stage.name for stage in stages])
    await assistant.answer_trial(run, payload.trial_id, tools)
