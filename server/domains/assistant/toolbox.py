"""What a model may do while it answers, as the assistant sees it; the skills themselves stand above it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from uuid import UUID

from server.domains.assistant.queries import Found
from server.ports import Tool, ToolCall
from server.queue import Run


@dataclass(frozen=True)
class Deed:
    """What came of a call: `text` is what the model is told, `is_done` whether it may be claimed.

    `found` is knowledge that it brought up; `hands_over` ends the answer, and a person takes over.
    """

    tool: str
    is_done: bool
    text: str
    found: Sequence[Found] = ()
    hands_over: bool = False


@dataclass(frozen=True)
class Facts:
    """What is known beside what was said: of the contact, of earlier sessions, of what was done already.

    `contact` holds lines such as "Name: Maya"; `earlier` summaries, the newest first; `deeds` what tools
    did in this conversation before.
    """

    contact: Sequence[str] = ()
    earlier: Sequence[str] = ()
    deeds: Sequence[Deed] = ()


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """For whom tools are used: the message that is answered, its contact, and the business's own ways.

    `stages` names those of its pipeline that a lead can be moved to, in their order.
    """

    business_id: int
    conversation_id: UUID
    contact_id: UUID
    message_id: UUID
    time_zone: str
    stages: Sequence[str] = ()


class Toolbox(Protocol):
    """The tools there are, and their use; a call is done once, however often it is asked for."""

    tools: Sequence[Tool]

    async def use(self, call: ToolCall) -> Deed:
        """Do what a model asks; what cannot be done is told, not raised."""


# Who may use tools is given this: a toolbox for one run and one occasion.
Toolboxes: TypeAlias = Callable[[Run, Occasion], Toolbox]
