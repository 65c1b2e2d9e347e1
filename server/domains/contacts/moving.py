"""What a merge moves, and how each row is noted so that it can be moved back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from server.db import Session, text

# Every table with a row that points at a contact or a conversation. These are moved row by row; each has a
# uuid `id`. tests/domains/contacts/test_merging.py fails when the database knows one that is not here.
OF_CONTACT: Mapping[str, str] = {
    "contact_identity": "contact_id",
    "consent": "contact_id",
    "lead_activity": "contact_id",
    "reminder": "contact_id",
    "reminder_series": "contact_id",
}
OF_CONVERSATION: Mapping[str, str] = {
    "message": "conversation_id",
    "suggestion": "conversation_id",
    "reminder": "conversation_id",
    "reminder_series": "conversation_id",
}
# Of these a contact, or a conversation, has one: two become one.
BY_HAND = frozenset(
    {("lead", "contact"), ("conversation", "contact"), ("conversation_session", "conversation")}
)

ROW = "SELECT to_jsonb({table}) AS row FROM {table} WHERE id = :id ORDER BY id LIMIT 1"
MOVE = """
WITH moved AS (
    UPDATE {table} SET {column} = :to_id WHERE {column} = :from_id RETURNING id)
INSERT INTO contact_merge_part (business_id, merge_id, table_name, row_id, from_id, to_id)
SELECT :business_id, :merge_id, :table, id, :from_id, :to_id FROM moved
"""


async def move(
    session: Session, scope: Mapping[str, Any], table: str, column: str, *, from_id: UUID, to_id: UUID
) -> None:
    """Point every row of a table from one to another, and note which."""
    await session.execute(
        text(MOVE.format(table=table, column=column)),
        {
            "business_id": scope["business_id"],
            "merge_id": scope["merge_id"],
            "table": table,
            "from_id": from_id,
            "to_id": to_id,
        },
    )


async def row_of(session: Session, table: str, row_id: UUID) -> dict[str, Any] | None:
    """Return a row as JSON, to be put back one day."""
    found: dict[str, Any] | None = await session.scalar(text(ROW.format(table=table)), {"id": row_id})
    return found
