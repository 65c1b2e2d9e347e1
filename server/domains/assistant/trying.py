"""Trying the assistant out: what it would answer, from which sources; nothing is sent or done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from server.db import Database, Session
from server.domains.assistant import pages
from server.domains.assistant.drafting import draft_reply
from server.domains.assistant.guards import LOOK_UP, PERSON
from server.domains.assistant.models import AssistantTrial
from server.domains.assistant.service import find_knowledge, note_use
from server.domains.assistant.toolbox import Deed
from server.errors import BadInputError
from server.ports import ChatTurn, EventKind, Tool, ToolCall
from server.queue import Run, enqueue
from server.queue.catalog import AssistantTry

LONGEST_QUESTION = 2_000


@dataclass
class Rehearsal:
    """A toolbox that only looks up: any other call is noted as one that would be made."""

    database: Database
    business_id: int
    tools: Sequence[Tool]
    calls: list[dict[str, str]] = field(default_factory=list)

    async def use(self, call: ToolCall) -> Deed:
        """Note a call, and tell the model that it worked."""
        self.calls.append({"tool": call.name, "text": call.arguments})
        if call.name != LOOK_UP:
            return Deed(call.name, is_done=True, text="Done.", hands_over=call.name == PERSON)
        async with self.database.transaction(self.business_id) as session:
            found = await find_knowledge(session, self.business_id, call.arguments)
        told = "\n\n".join(f"Q: {entry.title}\nA: {entry.body}" for entry in found)
        return Deed(call.name, is_done=True, text=told or "Nothing is written about that.", found=found)


async def ask_trial(session: Session, business_id: int, question: str, *, by: UUID) -> UUID:
    """Ask what the assistant would answer; a worker finds out. Raises BadInputError `bad_question`."""
    asked = question.replace("\x00", "").strip()
    if not asked or len(asked) > LONGEST_QUESTION:
        raise BadInputError("bad_question", f"Ask something of up to {LONGEST_QUESTION} characters.")
    trial_id = await pages.insert_trial(session, business_id, asked, by)
    await enqueue(session, AssistantTry(trial_id), business_id=business_id)
    return trial_id


async def find_trial(session: Session, business_id: int, trial_id: UUID) -> AssistantTrial | None:
    """Return a trial, answered or not yet."""
    return await pages.get_trial(session, business_id, trial_id)


async def answer_trial(run: Run, trial_id: UUID, tools: Sequence[Tool]) -> None:
    """Draft the answer to a trial and keep it; a second time changes nothing."""
    business_id = run.business_id
    if business_id is None:
        raise LookupError("a trial is a business's own")
    async with run.step() as session:
        await pages.delete_old_trials(session, business_id)
        trial = await pages.get_trial(session, business_id, trial_id)
    if trial is None or trial.answered_at is not None:
        return
    rehearsal = Rehearsal(run.database, business_id, tools)
    draft = await draft_reply(
        run.database,
        run.outside.model,
        business_id=business_id,
        history=[ChatTurn("user", trial.question)],
        kind=EventKind.TEXT,
        toolbox=rehearsal,
    )
    details = {
        "sources": draft.sources,
        "model": draft.model,
        "hands_over": draft.hands_over,
        "tools": rehearsal.calls,
        "trouble": draft.trouble.value if draft.trouble else None,
        "input_tokens": draft.input_tokens,
        "output_tokens": draft.output_tokens,
        "cost_micro": draft.spent.cost_micro,
    }
    async with run.step() as session:
        await pages.answer_trial(session, trial_id, draft.text, details)
        await note_use(session, business_id, draft.spent, purpose="trial")
