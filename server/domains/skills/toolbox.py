"""The assistant's tools in use: each call in a transaction of its own, with the note that it was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from server.domains import assistant
from server.domains.assistant import Deed, Occasion
from server.domains.skills import queries
from server.domains.skills.arguments import read_arguments, tool_of
from server.domains.skills.catalog import SKILLS, HandOverToPerson, LookUpKnowledge
from server.domains.skills.doing import do
from server.domains.skills.queries import Called
from server.errors import BadInputError
from server.ports import Tool, ToolCall
from server.queue import Run

# A model that goes on and on has lost its way.
MOST_CALLS = 10
MOST_FOUND = 4


def tools_for(stages: Sequence[str]) -> Sequence[Tool]:
    """Return the tools of a business whose pipeline has these stages; a model told them makes none up."""
    choices = {"stage": stages} if stages else {}
    return [tool_of(name, skill, choices) for name, skill in SKILLS.items()]


class Skills:
    """A toolbox for one run and the message that it answers."""

    def __init__(self, run: Run, occasion: Occasion) -> None:
        self._run = run
        self._occasion = occasion
        self._calls: Counter[str] = Counter()
        self.tools: Sequence[Tool] = tools_for(occasion.stages)

    async def use(self, call: ToolCall) -> Deed:
        """Do what a model asks, unless a run before this one did; what cannot be done is told, not raised."""
        if self._calls.total() >= MOST_CALLS:
            return Deed(call.name, is_done=False, text="Too many calls for one answer. Nothing was done.")
        try:
            wanted = read_arguments(SKILLS[call.name], call.arguments)
        except BadInputError as error:
            return _refused(call.name, error)
        if isinstance(wanted, LookUpKnowledge):
            return await self._look_up(call.name, wanted)
        return await self._do_once(call.name, wanted)

    async def _look_up(self, name: str, wanted: LookUpKnowledge) -> Deed:
        self._calls[name] += 1
        async with self._run.database.transaction(self._occasion.business_id) as session:
            found = await assistant.find_knowledge(
                session, self._occasion.business_id, wanted.query, limit=MOST_FOUND
            )
        told = "\n\n".join(f"Q: {entry.title}\nA: {entry.body}" for entry in found)
        return Deed(name, is_done=True, text=told or "Nothing is written about that.", found=found)

    async def _do_once(self, name: str, wanted: Any) -> Deed:
        called = Called(
            business_id=self._occasion.business_id,
            conversation_id=self._occasion.conversation_id,
            message_id=self._occasion.message_id,
            tool=name,
            ordinal=self._calls[name],
            arguments={field: value for field, value in vars(wanted).items() if value is not None},
        )
        self._calls[name] += 1
        hands_over = isinstance(wanted, HandOverToPerson)
        async with self._run.step() as session:
            before = await queries.find_done(session, called)
            if before is not None:
                return Deed(name, is_done=True, text=f"Done already. {before}", hands_over=hands_over)
            try:
                async with session.begin_nested():
                    result = await do(wanted, session, self._occasion)
            except BadInputError as error:
                await queries.record_call(session, called, state="refused", result=str(error))
                return _refused(name, error)
            await queries.record_call(session, called, state="done", result=result)
        return Deed(name, is_done=True, text=result, hands_over=hands_over)


def _refused(name: str, error: BadInputError) -> Deed:
    return Deed(name, is_done=False, text=f"{error} Nothing was done.")
