"""What hangs on messages that a page shows: what they quote, their file, the reactions to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from server.db import Session, text


@dataclass(frozen=True)
class Quoted:
    """The message that another one answers; `id` is None where we do not have it."""

    id: UUID | None
    author: str | None
    kind: str | None
    text: str | None
    is_deleted: bool = False


@dataclass(frozen=True)
class File:
    """A message's file as it stands; see `media.MediaFile`."""

    id: UUID
    kind: str
    state: str
    reason: str | None
    name: str | None
    mimetype: str | None
    size_bytes: int | None
    width: int | None
    height: int | None
    duration_s: int | None


@dataclass(frozen=True)
class Attached:
    """All that hangs on one message; each of `reactions` has its `author` and its `emoji`."""

    quoted: Quoted | None = None
    file: File | None = None
    reactions: Sequence[Mapping[str, Any]] = ()


NOTHING = Attached()
QUOTED_LENGTH = 300
# Of each side's reactions to a message the last one counts, and an empty one took it back.
ATTACHED = """
SELECT message.id AS message_id, message.quoted_provider_id, quoted.id AS quoted_id,
       quoted.author AS quoted_author, quoted.kind AS quoted_kind, left(quoted.text, :length) AS quoted_text,
       coalesce(quoted.details ? 'deleted', false) AS quoted_is_deleted,
       file.id, file.kind, file.state, file.reason, file.file_name AS name, file.mimetype, file.size_bytes,
       file.width, file.height, file.duration_s, reaction.each AS reactions
FROM message
LEFT JOIN message AS quoted ON quoted.business_id = message.business_id
 AND quoted.channel_id = message.channel_id AND quoted.provider_id = message.quoted_provider_id
LEFT JOIN media_file AS file ON file.message_id = message.id
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('author', last.author, 'emoji', last.text) ORDER BY last.direction)
        AS each
    FROM (SELECT DISTINCT ON (one.direction) one.direction, one.author, one.text FROM message AS one
          WHERE one.conversation_id = message.conversation_id AND one.kind = 'reaction'
            AND one.details ->> 'target' = message.provider_id AND one.status <> 'failed'
          ORDER BY one.direction, coalesce(one.sent_at, one.created_at) DESC, one.position DESC) AS last
    WHERE last.text <> '') AS reaction ON message.provider_id IS NOT NULL
WHERE message.id = ANY(cast(:ids AS uuid[]))
  AND (message.quoted_provider_id IS NOT NULL OR file.id IS NOT NULL OR reaction.each IS NOT NULL)
ORDER BY message.id LIMIT :limit
"""


async def read_attached(session: Session, message_ids: Sequence[UUID]) -> dict[UUID, Attached]:
    """Return what hangs on these messages, of those on which something does."""
    if not message_ids:
        return {}
    told = {"ids": list(message_ids), "limit": len(message_ids), "length": QUOTED_LENGTH}
    rows = await session.execute(text(ATTACHED), told)
    return {row.message_id: _attached(row) for row in rows}


def _attached(row: Any) -> Attached:
    quoted = None
    if row.quoted_provider_id is not None:
        quoted = Quoted(
            row.quoted_id, row.quoted_author, row.quoted_kind, row.quoted_text, row.quoted_is_deleted
        )
    file = None
    if row.id is not None:
        file = File(**{name: getattr(row, name) for name in File.__dataclass_fields__})
    return Attached(quoted, file, row.reactions or ())
