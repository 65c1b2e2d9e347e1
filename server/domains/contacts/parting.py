"""Undoing a merge: what it moved goes back, what came since stays with the contact that stayed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

from server.db import Session, text
from server.domains.contacts import queries
from server.domains.contacts.lead_merging import put_back_stage
from server.domains.contacts.models import ContactMerge
from server.domains.contacts.moving import OF_CONTACT, OF_CONVERSATION
from server.errors import BadInputError
from server.log import get_logger
from server.queue import Changed

log = get_logger(__name__)

# A column that came after the merge keeps its default: only what was kept is put back.
COLUMNS = """
SELECT string_agg(quote_ident(column_name), ', ' ORDER BY column_name) FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = :table AND is_generated = 'NEVER'
  AND column_name = ANY (cast(:names AS text[]))
"""
PUT_BACK = """
INSERT INTO {table} ({columns})
SELECT {columns} FROM jsonb_populate_record(NULL::{table}, cast(:row AS jsonb))
"""
MOVE_BACK = """
UPDATE {table} SET {column} = part.from_id FROM contact_merge_part AS part
WHERE part.merge_id = :merge_id AND part.table_name = :table
  AND part.from_id = ANY (cast(:from_ids AS uuid[]))
  AND {table}.id = part.row_id AND {table}.{column} = part.to_id
"""
LOCK_CONVERSATIONS = """
SELECT id FROM conversation WHERE contact_id = :survivor_id ORDER BY id LIMIT 1000 FOR UPDATE
"""
MOVED_WHOLE = """
SELECT row_id FROM contact_merge_part AS part JOIN conversation ON conversation.id = part.row_id
WHERE part.merge_id = :merge_id AND part.table_name = 'conversation'
  AND conversation.contact_id = :survivor_id
ORDER BY part.row_id LIMIT 1000
"""
CAME_SINCE = "SELECT EXISTS (SELECT FROM message WHERE conversation_id = :id AND position > :until)"
SPLIT = """
INSERT INTO conversation (business_id, channel_id, contact_id, address, ai_enabled, ai_paused_until,
                          needs_person, last_message_at)
SELECT business_id, channel_id, :survivor_id, address, ai_enabled, ai_paused_until, needs_person,
       last_message_at
FROM conversation WHERE id = :id RETURNING id
"""
STAY = "UPDATE message SET conversation_id = :into WHERE conversation_id = :id AND position > :until"
TAKE_BACK = """
UPDATE contact SET revision = revision + 1,
    name = CASE WHEN name = cast(:lost_name AS text) THEN cast(:name AS text) ELSE name END,
    email = CASE WHEN email = cast(:lost_email AS text) THEN cast(:email AS text) ELSE email END,
    told_phone = CASE WHEN told_phone = cast(:lost_told_phone AS text)
                      THEN cast(:told_phone AS text) ELSE told_phone END,
    city = CASE WHEN city = cast(:lost_city AS text) THEN cast(:city AS text) ELSE city END,
    username = CASE WHEN username = cast(:lost_username AS text)
                    THEN cast(:username AS text) ELSE username END
WHERE id = :survivor_id
"""
UNDONE = """
UPDATE contact_merge SET undone_at = now(), undone_by = :by
WHERE id = :merge_id AND undone_at IS NULL RETURNING survivor_id, loser_id
"""
DISTINCT = """
INSERT INTO contact_distinct (business_id, one_id, other_id, said_by)
VALUES (:business_id, least(cast(:a AS uuid), :b), greatest(cast(:a AS uuid), :b), :by) ON CONFLICT DO NOTHING
"""
ACTIVITY = """
INSERT INTO lead_activity (business_id, contact_id, kind, actor, data)
VALUES (:business_id, :contact_id, 'parted', :by, jsonb_build_object('merge', cast(:merge_id AS uuid)))
"""
FILLED = ("name", "email", "told_phone", "city", "username")


async def part(session: Session, merge_id: UUID, *, by: str) -> UUID:
    """Undo a merge and return the contact that is there again; the two are never merged by proof afterwards.

    Raises BadInputError `no_such_merge`, `already_undone`, or `merged_since` where the contact that stayed
    was itself merged into another: that is to be undone first.
    """
    merge = await session.get(ContactMerge, merge_id)
    if merge is None:
        raise BadInputError("no_such_merge", "There is no such merge.")
    if not await queries.lock_contacts(session, [merge.survivor_id]):
        raise BadInputError(
            "merged_since", "This contact was merged into another one since: undo that first."
        )
    if (await session.execute(text(UNDONE), {"merge_id": merge_id, "by": by})).first() is None:
        raise BadInputError("already_undone", "This merge was undone already.")
    scope = {
        "business_id": merge.business_id,
        "merge_id": merge_id,
        "survivor_id": merge.survivor_id,
        "loser_id": merge.loser_id,
        "by": by,
    }
    await _put_back_contact(session, scope, merge.kept)
    await _put_back_conversations(session, scope, merge.kept)
    await _tell(session, scope)
    log.info("contacts_parted", merge_id=str(merge_id))
    return merge.loser_id


async def say_distinct(session: Session, business_id: int, one: UUID, other: UUID, *, by: str) -> None:
    """Note that two contacts are not one: neither proof nor a suggestion brings them together again."""
    await session.execute(text(DISTINCT), {"business_id": business_id, "a": one, "b": other, "by": by})


async def _put_back_contact(session: Session, scope: dict[str, Any], kept: Mapping[str, Any]) -> None:
    await session.execute(text(LOCK_CONVERSATIONS), scope)
    await _put_back(session, "contact", kept["contact"])
    await _split_whole(session, scope, kept)
    for table, column in {**OF_CONTACT, "lead": "contact_id", "conversation": "contact_id"}.items():
        await _move_back(session, scope, table, column, [scope["loser_id"]])
    if kept.get("lead"):
        await _put_back(session, "lead", kept["lead"])
    await put_back_stage(session, kept)
    told = {name: kept["survivor"][name] for name in FILLED}
    # Only what the merge filled in is taken back.
    lost = {f"lost_{name}": kept["contact"][name] if told[name] is None else None for name in FILLED}
    await session.execute(text(TAKE_BACK), scope | told | lost)


async def _split_whole(session: Session, scope: dict[str, Any], kept: Mapping[str, Any]) -> None:
    """Of a conversation that goes back, keep what was said since with the contact that stayed."""
    for conversation_id in list(await session.scalars(text(MOVED_WHOLE), scope)):
        at = {"id": conversation_id, "until": kept["until"].get(str(conversation_id), 0)}
        if not await session.scalar(text(CAME_SINCE), at):
            continue
        # The one that goes back leaves its place on the channel first.
        await session.execute(
            text("UPDATE conversation SET contact_id = :loser_id WHERE id = :id"), scope | at
        )
        into = (await session.execute(text(SPLIT), scope | at)).scalar_one()
        await session.execute(text(STAY), at | {"into": into})


async def _put_back_conversations(session: Session, scope: dict[str, Any], kept: Mapping[str, Any]) -> None:
    gone = [UUID(row["id"]) for row in kept["conversations"]]
    for row in kept["conversations"]:
        await _put_back(session, "conversation", row)
    await session.execute(text("DELETE FROM conversation_moved WHERE merge_id = :merge_id"), scope)
    for table, column in {**OF_CONVERSATION, "conversation_session": "conversation_id"}.items():
        await _move_back(session, scope, table, column, gone)
    for row in kept["sessions"]:
        await _put_back(session, "conversation_session", row)


async def _put_back(session: Session, table: str, row: Mapping[str, Any]) -> None:
    columns = await session.scalar(text(COLUMNS), {"table": table, "names": list(row)})
    await session.execute(
        text(PUT_BACK.format(table=table, columns=columns)), {"row": orjson.dumps(dict(row)).decode()}
    )


async def _move_back(
    session: Session, scope: Mapping[str, Any], table: str, column: str, from_ids: list[UUID]
) -> None:
    await session.execute(
        text(MOVE_BACK.format(table=table, column=column)),
        {"merge_id": scope["merge_id"], "table": table, "from_ids": from_ids},
    )


async def _tell(session: Session, scope: dict[str, Any]) -> None:
    await say_distinct(session, scope["business_id"], scope["survivor_id"], scope["loser_id"], by=scope["by"])
    for contact_id in (scope["survivor_id"], scope["loser_id"]):
        await session.execute(text(ACTIVITY), scope | {"contact_id": contact_id})
        session.outbox.append(Changed(scope["business_id"], "contact", contact_id))
    session.outbox.append(Changed(scope["business_id"], "conversation", scope["loser_id"]))
