"""Messages as they are read from the table, one row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(slots=True)
class StoredMessage:
    """One thing said, as it stands; whoever changes its row while holding it changes it here too."""

    id: UUID
    position: int
    business_id: int
    conversation_id: UUID
    channel_id: UUID
    direction: str
    author: str
    kind: str
    text: str | None
    details: Mapping[str, Any]
    provider_id: str | None
    quoted_provider_id: str | None
    answers_message_id: UUID | None
    effect_key: str | None
    status: str
    status_reason: str | None
    status_at: datetime
    sent_at: datetime | None
    created_at: datetime


COLUMNS = ", ".join(field.name for field in fields(StoredMessage))


def message_of(row: Any) -> StoredMessage | None:
    """Return a row of `COLUMNS` as a message."""
    return None if row is None else StoredMessage(*row)
