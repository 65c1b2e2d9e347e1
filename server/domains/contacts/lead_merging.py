"""The leads of two contacts that become one: the further stage stays, and nothing written is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.db import Session, text
from server.domains.contacts.moving import move, row_of

# How far a lead came: won is further than any open stage, and any open one further than lost.
BOTH = """
SELECT lead.id, lead.contact_id,
       CASE stage.sort WHEN 'won' THEN 2 WHEN 'lost' THEN 0 ELSE 1 END AS sort,
       coalesce(stage.place, 0) AS place
FROM lead LEFT JOIN lead_stage AS stage ON stage.id = lead.stage_id
WHERE lead.contact_id IN (:survivor_id, :loser_id) ORDER BY lead.id LIMIT 2 FOR UPDATE OF lead
"""
JOIN = """
UPDATE lead AS mine
SET stage_id = CASE WHEN :is_further THEN other.stage_id ELSE mine.stage_id END,
    stage_at = CASE WHEN :is_further THEN other.stage_at ELSE mine.stage_at END,
    title = coalesce(mine.title, other.title),
    value_minor = coalesce(mine.value_minor, other.value_minor),
    currency = CASE WHEN mine.value_minor IS NULL THEN other.currency ELSE mine.currency END,
    owner_id = coalesce(mine.owner_id, other.owner_id),
    last_contact_at = greatest(mine.last_contact_at, other.last_contact_at)
FROM lead AS other WHERE mine.id = :mine AND other.id = :other
"""
PUT_BACK = """
UPDATE lead SET stage_id = cast(:stage_id AS uuid), stage_at = cast(cast(:stage_at AS text) AS timestamptz)
WHERE id = cast(:id AS uuid) AND stage_id IS NOT DISTINCT FROM cast(:merged_stage_id AS uuid)
"""


async def merge_leads(session: Session, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Make one lead of two; return the rows as they were, by which `part_leads` undoes it."""
    rows = (await session.execute(text(BOTH), dict(scope))).all()
    mine = next((row for row in rows if row.contact_id == scope["survivor_id"]), None)
    other = next((row for row in rows if row.contact_id == scope["loser_id"]), None)
    if other is None:
        return {}
    if mine is None:
        await move(
            session, scope, "lead", "contact_id", from_id=scope["loser_id"], to_id=scope["survivor_id"]
        )
        return {}
    kept = {
        "lead": await row_of(session, "lead", other.id),
        "survivor_lead": await row_of(session, "lead", mine.id),
    }
    is_further = (other.sort, other.place) > (mine.sort, mine.place)
    await session.execute(text(JOIN), {"mine": mine.id, "other": other.id, "is_further": is_further})
    await session.execute(text("DELETE FROM lead WHERE id = :id"), {"id": other.id})
    merged = await row_of(session, "lead", mine.id) or {}
    return kept | {"merged_stage_id": merged.get("stage_id")}


async def put_back_stage(session: Session, kept: Mapping[str, Any]) -> None:
    """Give the lead that stayed its own stage again, unless someone moved it since."""
    before = kept.get("survivor_lead")
    if before:
        await session.execute(
            text(PUT_BACK),
            {
                "id": str(before["id"]),
                "stage_id": before["stage_id"],
                "stage_at": before["stage_at"],
                "merged_stage_id": kept.get("merged_stage_id"),
            },
        )
