"""The SQL of what tools did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import JSONB

from server.db import Session, text

# The same call within so long, in one conversation, is the same deed: a message that overtook another asks
# for what was done for that one already.
SAME_DEED = timedelta(hours=1)
# What a run before this one did for the message, in its order; or the same for another message just now.
DONE = """
SELECT result FROM assistant_tool_call
WHERE state = 'done' AND tool = :tool
  AND (message_id = :message_id AND ordinal = :ordinal
       OR conversation_id = :conversation_id AND arguments = :arguments
          AND at > now() - cast(:same_deed AS interval))
ORDER BY message_id = :message_id AND ordinal = :ordinal DESC, at DESC LIMIT 1
"""
RECORD = """
INSERT INTO assistant_tool_call
    (business_id, conversation_id, message_id, tool, ordinal, arguments, state, result)
VALUES (:business_id, :conversation_id, :message_id, :tool, :ordinal, :arguments, :state, :result)
ON CONFLICT (message_id, tool, ordinal) DO UPDATE
SET arguments = excluded.arguments, state = excluded.state, result = excluded.result, at = now()
WHERE assistant_tool_call.state = 'refused'
"""


@dataclass(frozen=True, kw_only=True)
class Called:
    """A call of a tool for a message; `ordinal` counts the tool's calls for it."""

    business_id: int
    conversation_id: UUID
    message_id: UUID
    tool: str
    ordinal: int
    arguments: Mapping[str, Any]


async def find_done(session: Session, called: Called) -> str | None:
    """Return what came of a call that was done already, by its place or by what it asked."""
    statement = text(DONE).bindparams(bindparam("arguments", type_=JSONB))
    values = vars(called) | {"arguments": dict(called.arguments), "same_deed": SAME_DEED}
    del values["business_id"]
    found: str | None = await session.scalar(statement, values)
    return found


async def record_call(session: Session, called: Called, *, state: str, result: str) -> None:
    """Store a call with what came of it; one that was refused before may be done now."""
    statement = text(RECORD).bindparams(bindparam("arguments", type_=JSONB))
    await session.execute(
        statement, vars(called) | {"arguments": dict(called.arguments), "state": state, "result": result}
    )
