"""The SQL of the assistant's pages: settings, notices, what was spent, entries of knowledge, trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from server.db import Session, text
from server.domains.assistant.models import AssistantTrial, BusinessAssistant, KnowledgeEntry

TEXTS = ("about", "tone", "instructions")

NOTICES = """
SELECT notice.id, notice.kind, notice.times, notice.detail, notice.last_at, message.conversation_id
FROM assistant_notice AS notice LEFT JOIN message ON message.id = notice.message_id
WHERE notice.business_id = :business_id AND notice.seen_at IS NULL
ORDER BY notice.last_at DESC, notice.id LIMIT :limit
"""
SEEN = "UPDATE assistant_notice SET seen_at = now() WHERE business_id = :business_id AND seen_at IS NULL"
SPENDING = """
SELECT count(*) FILTER (WHERE purpose = 'reply') AS replies,
       coalesce(sum(input_tokens), 0)::bigint AS input_tokens,
       coalesce(sum(output_tokens), 0)::bigint AS output_tokens,
       coalesce(sum(cost_micro), 0)::bigint AS cost_micro
FROM assistant_use JOIN business ON business.id = assistant_use.business_id
WHERE assistant_use.business_id = :business_id AND at >= date_trunc('month', now(), business.time_zone)
"""


@dataclass(frozen=True)
class Entry:
    """An entry of knowledge as its page shows it."""

    id: UUID
    title: str
    body: str
    language: str
    updated_at: datetime


async def upsert_settings(session: Session, business_id: int, values: Mapping[str, Any]) -> None:
    """Store what a business wants, all of it."""
    statement = upsert(BusinessAssistant).values(business_id=business_id, **values)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[BusinessAssistant.business_id], set_={**values, "updated_at": func.now()}
        )
    )


async def read_notices(session: Session, business_id: int, *, limit: int) -> list[dict[str, Any]]:
    """Return what the owner has not put away, the newest first."""
    rows = await session.execute(text(NOTICES), {"business_id": business_id, "limit": limit})
    return [dict(row) for row in rows.mappings()]


async def mark_notices_seen(session: Session, business_id: int) -> None:
    """Note that all there is was read."""
    await session.execute(text(SEEN), {"business_id": business_id})


async def read_spending(session: Session, business_id: int) -> dict[str, int]:
    """Return what this month's use adds up to."""
    rows = await session.execute(text(SPENDING), {"business_id": business_id})
    return dict(rows.mappings().one())


async def list_entries(session: Session, business_id: int, *, start: int, limit: int) -> list[Entry]:
    """Return entries, those changed last first."""
    rows = await session.execute(
        _entries(business_id)
        .order_by(KnowledgeEntry.updated_at.desc(), KnowledgeEntry.title, KnowledgeEntry.id)
        .offset(start)
        .limit(limit)
    )
    return [Entry(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


async def get_entries(session: Session, business_id: int, ids: Sequence[UUID]) -> list[Entry]:
    """Return these entries of a business, in the order of the ids."""
    rows = await session.execute(
        _entries(business_id)
        .where(KnowledgeEntry.id.in_(ids))
        .order_by(func.array_position(list(ids), KnowledgeEntry.id))
        .limit(len(ids))
    )
    return [Entry(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


async def count_entries(session: Session, business_id: int) -> int:
    """Return how many entries a business has."""
    query = select(func.count()).where(KnowledgeEntry.business_id == business_id)
    return int(await session.scalar(query) or 0)


async def update_entry(
    session: Session, business_id: int, entry_id: UUID, *, title: str, body: str, language: str
) -> bool:
    """Change an entry; tell whether it is still there."""
    row = await session.execute(
        update(KnowledgeEntry)
        .where(KnowledgeEntry.id == entry_id, KnowledgeEntry.business_id == business_id)
        .values(title=title, body=body, language=language, updated_at=func.now())
        .returning(KnowledgeEntry.id)
    )
    return row.first() is not None


async def delete_entry(session: Session, business_id: int, entry_id: UUID) -> bool:
    """Delete an entry; tell whether it was there."""
    row = await session.execute(
        delete(KnowledgeEntry)
        .where(KnowledgeEntry.id == entry_id, KnowledgeEntry.business_id == business_id)
        .returning(KnowledgeEntry.id)
    )
    return row.first() is not None


async def insert_trial(session: Session, business_id: int, question: str, asked_by: UUID) -> UUID:
    """Store a question that somebody of the business puts to the assistant."""
    trial_id: UUID = (
        await session.execute(
            insert(AssistantTrial)
            .values(business_id=business_id, question=question, asked_by=asked_by)
            .returning(AssistantTrial.id)
        )
    ).scalar_one()
    return trial_id


async def get_trial(session: Session, business_id: int, trial_id: UUID) -> AssistantTrial | None:
    """Return a trial of a business."""
    return await session.scalar(
        select(AssistantTrial)
        .where(AssistantTrial.id == trial_id, AssistantTrial.business_id == business_id)
        .order_by(AssistantTrial.id)
        .limit(1)
    )


async def answer_trial(session: Session, trial_id: UUID, answer: str, details: Mapping[str, Any]) -> None:
    """Store what the assistant would answer; one that is answered stays."""
    await session.execute(
        update(AssistantTrial)
        .where(AssistantTrial.id == trial_id, AssistantTrial.answered_at.is_(None))
        .values(answer=answer, details=dict(details), answered_at=func.now())
    )


async def delete_old_trials(session: Session, business_id: int) -> None:
    """Delete a business's trials of days ago."""
    await session.execute(
        text(
            "DELETE FROM assistant_trial WHERE business_id = :business_id"
            " AND asked_at < now() - interval '7 days'"
        ),
        {"business_id": business_id},
    )


def _entries(business_id: int) -> Any:
    return select(
        KnowledgeEntry.id,
        KnowledgeEntry.title,
        KnowledgeEntry.body,
        KnowledgeEntry.language,
        KnowledgeEntry.updated_at,
    ).where(KnowledgeEntry.business_id == business_id)
