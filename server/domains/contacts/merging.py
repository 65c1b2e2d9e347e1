"""Making one contact of two, with everything that points at either, and what it takes to part them.

Locks are taken in one order by everybody: contacts, leads, conversations, each by id. Whoever writes for
a contact holds it first (`recognise`), so a merge meets no half-written message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row

from server.db import Session, text
from server.domains import integrations
from server.domains.contacts import queries
from server.domains.contacts.consenting import GRANTED, WITHDRAWN, standing_of
from server.domains.contacts.lead_merging import merge_leads
from server.domains.contacts.models import Contact
from server.domains.contacts.moving import OF_CONTACT, OF_CONVERSATION, move, row_of
from server.log import get_logger
from server.ports import IdentityKind
from server.queue import Changed

log = get_logger(__name__)

PROOF = "one message came with names of both"
BY_PROOF = "proof"

INSERT = """
INSERT INTO contact_merge (business_id, survivor_id, loser_id, reason, made_by)
VALUES (:business_id, :survivor_id, :loser_id, :reason, :made_by) RETURNING id
"""
KEEP = "UPDATE contact_merge SET kept = cast(:kept AS jsonb) WHERE id = :merge_id"
CONVERSATIONS = """
SELECT id, contact_id, channel_id FROM conversation
WHERE contact_id IN (:survivor_id, :loser_id) ORDER BY id LIMIT 1000 FOR UPDATE
"""
OPEN_SESSION = """
SELECT id FROM conversation_session
WHERE conversation_id = :id AND closed_at IS NULL ORDER BY id LIMIT 1 FOR UPDATE
"""
JOIN_SESSIONS = """
UPDATE conversation_session AS mine
SET opened_at = least(mine.opened_at, other.opened_at),
    last_activity_at = greatest(mine.last_activity_at, other.last_activity_at)
FROM conversation_session AS other WHERE mine.id = :mine AND other.id = :other
"""
JOIN_CONVERSATIONS = """
UPDATE conversation AS mine
SET address = CASE WHEN other.last_message_at > mine.last_message_at THEN other.address ELSE mine.address END,
    last_message_at = greatest(mine.last_message_at, other.last_message_at),
    needs_person = mine.needs_person OR other.needs_person,
    ai_enabled = mine.ai_enabled AND other.ai_enabled,
    pause_reason = CASE WHEN other.ai_paused_until > coalesce(mine.ai_paused_until, '-infinity')
                        THEN other.pause_reason ELSE mine.pause_reason END,
    ai_paused_until = greatest(mine.ai_paused_until, other.ai_paused_until),
    taken_by = coalesce(mine.taken_by, other.taken_by),
    read_position = least(mine.read_position, other.read_position)
FROM conversation AS other WHERE mine.id = :mine AND other.id = :other
"""
# A conversation has one suggestion that is open; what was suggested for the other one is overtaken.
OVERTAKE = """
UPDATE suggestion SET state = 'stale', decided_at = now() WHERE conversation_id = :id AND state = 'open'
"""
MOVED = """
INSERT INTO conversation_moved (from_id, business_id, to_id, merge_id)
VALUES (:from_id, :business_id, :to_id, :merge_id)
"""
NEWEST = "SELECT coalesce(max(position), 0) FROM message WHERE conversation_id = :id"
FILL_IN = """
UPDATE contact AS mine
SET name = coalesce(mine.name, other.name), email = coalesce(mine.email, other.email),
    told_phone = coalesce(mine.told_phone, other.told_phone), city = coalesce(mine.city, other.city),
    username = coalesce(mine.username, other.username), revision = mine.revision + 1
FROM contact AS other WHERE mine.id = :mine AND other.id = :other
"""
WITHDRAW = """
INSERT INTO consent (business_id, contact_id, purpose, value, wording, source, merge_id)
VALUES (:business_id, :survivor_id, 'marketing', 'withdrawn', '', 'merge', :merge_id)
"""
ACTIVITY = """
INSERT INTO lead_activity (business_id, contact_id, kind, actor, data)
VALUES (:business_id, :contact_id, 'merged', :made_by, jsonb_build_object('merge', cast(:merge_id AS uuid)))
"""
ARE_DISTINCT = """
SELECT EXISTS (SELECT FROM contact_distinct
               WHERE one_id = least(cast(:a AS uuid), :b) AND other_id = greatest(cast(:a AS uuid), :b))
"""


async def unite(
    session: Session,
    business_id: int,
    names: Mapping[IdentityKind, str],
    owners: Mapping[IdentityKind, UUID],
) -> UUID | None:
    """Merge the contacts that one message proved to be one; None when they changed meanwhile.

    Where a person parted two of them, or said that they are not one, that stays, and the contact with
    the first of the names is meant.
    """
    async with session.begin_nested() as attempt:
        locked = await queries.lock_contacts(session, sorted(set(owners.values())))
        now = await queries.find_owners(session, business_id, names)
        if dict(now.of) != dict(owners):
            await attempt.rollback()
            return None
    survivor = survivor_of(locked, owners.get(IdentityKind.PHONE))
    for loser in locked:
        if loser.id == survivor.id:
            continue
        if await are_distinct(session, survivor.id, loser.id):
            log.warning("two_contacts_are_one", contact_ids=[str(survivor.id), str(loser.id)])
            continue
        await merge(session, survivor, loser, reason=PROOF, made_by=BY_PROOF)
    kept = await queries.find_owners(session, business_id, names)
    return next(kept.of[kind] for kind in names if kind in kept.of)


def survivor_of(contacts: Sequence[Contact], with_phone: UUID | None) -> Contact:
    """Return which contact stays: the one with the phone, else the oldest."""
    return min(contacts, key=lambda one: (one.id != with_phone, one.created_at, one.id))


async def are_distinct(session: Session, one: UUID, other: UUID) -> bool:
    """Tell whether a person said that these two are not one."""
    return bool(await session.scalar(text(ARE_DISTINCT), {"a": one, "b": other}))


async def merge(session: Session, survivor: Contact, loser: Contact, *, reason: str, made_by: str) -> UUID:
    """Make one contact of two that are locked; return the merge's id, by which it can be undone."""
    scope = {"business_id": survivor.business_id, "survivor_id": survivor.id, "loser_id": loser.id}
    made = await session.execute(text(INSERT), scope | {"reason": reason, "made_by": made_by})
    scope["merge_id"] = made.scalar_one()
    kept: dict[str, Any] = {
        "survivor": await row_of(session, "contact", survivor.id),
        "contact": await row_of(session, "contact", loser.id),
        "conversations": [],
        "sessions": [],
        "until": {},
    }
    kept |= await merge_leads(session, scope)
    await _merge_conversations(session, scope, kept)
    await _merge_consent(session, scope)
    for table, column in OF_CONTACT.items():
        await move(session, scope, table, column, from_id=loser.id, to_id=survivor.id)
    await session.execute(text(FILL_IN), {"mine": survivor.id, "other": loser.id})
    await session.execute(text("DELETE FROM contact WHERE id = :loser_id"), scope)
    await session.execute(text(ACTIVITY), scope | {"contact_id": survivor.id, "made_by": made_by})
    await session.execute(
        text(KEEP), {"merge_id": scope["merge_id"], "kept": orjson.dumps(kept, default=str).decode()}
    )
    await integrations.emit(
        session,
        survivor.business_id,
        "contact.merged",
        {
            "business_id": str(survivor.business_id),
            "contact_id": str(survivor.id),
            "merged_contact_id": str(loser.id),
        },
        key=f"merge:{scope['merge_id']}",
        subject=str(survivor.id),
    )
    session.expunge(loser)
    log.info("contacts_merged", merge_id=str(scope["merge_id"]), reason=reason)
    session.outbox.append(Changed(survivor.business_id, "contact", survivor.id))
    session.outbox.append(Changed(survivor.business_id, "conversation", survivor.id))
    return UUID(str(scope["merge_id"]))


async def _merge_conversations(session: Session, scope: dict[str, Any], kept: dict[str, Any]) -> None:
    rows = (await session.execute(text(CONVERSATIONS), scope)).all()
    theirs = {row.channel_id: row.id for row in rows if row.contact_id == scope["survivor_id"]}
    for row in rows:
        if row.contact_id == scope["survivor_id"]:
            continue
        kept["until"][str(row.id)] = await session.scalar(text(NEWEST), {"id": row.id})
        if row.channel_id in theirs:
            await _join(session, scope, kept, row, into=theirs[row.channel_id])
    await move(
        session,
        scope,
        "conversation",
        "contact_id",
        from_id=scope["loser_id"],
        to_id=scope["survivor_id"],
    )


async def _join(
    session: Session, scope: dict[str, Any], kept: dict[str, Any], gone: Row[Any], *, into: UUID
) -> None:
    """Make one conversation of two on the same channel; messages keep the order in which they were stored."""
    kept["conversations"].append(await row_of(session, "conversation", gone.id))
    await session.execute(text(JOIN_CONVERSATIONS), {"mine": into, "other": gone.id})
    mine = await session.scalar(text(OPEN_SESSION), {"id": into})
    other = await session.scalar(text(OPEN_SESSION), {"id": gone.id})
    if mine is not None and other is not None:
        kept["sessions"].append(await row_of(session, "conversation_session", other))
        await session.execute(text(JOIN_SESSIONS), {"mine": mine, "other": other})
        await session.execute(text("DELETE FROM conversation_session WHERE id = :id"), {"id": other})
    await session.execute(text(OVERTAKE), {"id": gone.id})
    await move(session, scope, "conversation_session", "conversation_id", from_id=gone.id, to_id=into)
    for table, column in OF_CONVERSATION.items():
        await move(session, scope, table, column, from_id=gone.id, to_id=into)
    await session.execute(text("DELETE FROM conversation WHERE id = :id"), {"id": gone.id})
    await session.execute(text(MOVED), scope | {"from_id": gone.id, "to_id": into})
    session.outbox.append(Changed(scope["business_id"], "conversation", into))


async def _merge_consent(session: Session, scope: dict[str, Any]) -> None:
    """Let the strictest win: where either said no to marketing, that is what stands."""
    standing = await standing_of(session, [scope["survivor_id"], scope["loser_id"]])
    if {one.value for one in standing.values()} == {GRANTED, WITHDRAWN}:
        await session.execute(text(WITHDRAW), scope)
