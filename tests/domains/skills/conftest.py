"""A locksmith's WhatsApp whose model answers from a script, in words and with tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from server.ports import ChatTurn, Completion, Tool, ToolCall
from tests.domains.messaging.conftest import let_no_line_wait, shop

__all__ = ["let_no_line_wait", "shop"]


@dataclass
class Scripted:
    """Says its lines one after another; keeps what it was told and offered."""

    lines: list[Any]
    asked: list[list[ChatTurn]] = field(default_factory=list)
    offered: list[list[str]] = field(default_factory=list)
    tools: Sequence[Tool] = ()

    async def complete(self, turns: Sequence[ChatTurn], *, tools: Sequence[Tool] = ()) -> Completion:
        self.asked.append(list(turns))
        self.offered.append([tool.name for tool in tools])
        self.tools = tools
        line = self.lines.pop(0)
        if callable(line):
            line = await line()
        if isinstance(line, BaseException):
            raise line
        text, calls = (line, ()) if isinstance(line, str) else ("", line)
        return Completion(text, "scripted", 100, 10, calls, cost_micro=21)


def calls(name: str, /, **arguments: Any) -> list[ToolCall]:
    return [ToolCall(f"call_{name}", name, orjson.dumps(arguments).decode())]
