"""The SQL of recordings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, tuple_, update

from server.db import Session
from server.domains.recordings.models import Recording
from server.queue.removing import OldFile
from server.queue.walks import Walk


async def list_old(session: Session, *, older_than: timedelta, walk: Walk, limit: int) -> list[OldFile]:
    """Return recordings that were kept long enough, the oldest first, from where a walk stands."""
    rows = await session.execute(
        select(
            Recording.id,
            Recording.business_id,
            Recording.storage_key.label("key"),
            Recording.recorded_at.label("at"),
        )
        .where(
            Recording.deleted_at.is_(None),
            Recording.recorded_at < func.now() - older_than,
            tuple_(Recording.recorded_at, Recording.id) > tuple_(walk.after, walk.after_id),
        )
        .order_by(Recording.recorded_at, Recording.id)
        .limit(limit)
    )
    return [OldFile(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


async def mark_deleted(session: Session, recording_ids: Sequence[UUID]) -> None:
    """Note that the files of these recordings are gone."""
    await session.execute(
        update(Recording)
        .where(Recording.id.in_(recording_ids), Recording.deleted_at.is_(None))
        .values(deleted_at=func.now())
        .execution_options(synchronize_session=False)
    )
