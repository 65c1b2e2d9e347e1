"""The SQL of files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from server.db import Session, text
from server.domains.media.models import MediaFile
from server.domains.media.rules import KEPT_LONG_ENOUGH, Facts
from server.queue.removing import OldFile
from server.queue.walks import Walk

# Chosen and not sent, or the message it belonged to turned out to be none: a day is long enough to send it.
UNSENT_KEPT = timedelta(days=1)
# A run that is still bringing a file when its row says that none comes ends long before.
LEFTOVERS_KEPT = timedelta(hours=1)
ENDED = ("refused", "gone", "removed")


async def insert_file(session: Session, **values: Any) -> UUID | None:
    """Add a file; None when its message has one already."""
    made = insert(MediaFile).values(**values).on_conflict_do_nothing(index_elements=[MediaFile.message_id])
    return (await session.execute(made.returning(MediaFile.id))).scalar_one_or_none()


async def get_file(session: Session, media_id: UUID) -> MediaFile | None:
    """Return a file of this transaction's business."""
    return await session.scalar(select(MediaFile).where(MediaFile.id == media_id).limit(1))


async def find_file_of(session: Session, message_id: UUID) -> MediaFile | None:
    """Return a message's file."""
    return await session.scalar(select(MediaFile).where(MediaFile.message_id == message_id).limit(1))


async def hold(session: Session, media_id: UUID) -> MediaFile | None:
    """Note that the storage may hold something of a file that is waited for; None for any other."""
    return await session.scalar(
        update(MediaFile)
        .where(MediaFile.id == media_id, MediaFile.state == "waiting")
        .values(is_held=True)
        .returning(MediaFile)
    )


async def store(
    session: Session, media_id: UUID, kind: str, facts: Facts, *, mimetype_told: str | None
) -> bool:
    """Note that a file that was waited for is whole; False if nobody waits for it any more."""
    found = await session.execute(
        update(MediaFile)
        .where(MediaFile.id == media_id, MediaFile.state == "waiting")
        .values(
            state="stored",
            kind=kind,
            state_at=func.now(),
            is_held=True,
            mimetype_told=mimetype_told,
            **vars(facts),
        )
        .returning(MediaFile.id)
    )
    return found.first() is not None


async def end(session: Session, media_id: UUID, state: str, reason: str) -> bool:
    """Note that a file that was waited for does not come; False if nobody waits for it any more."""
    found = await session.execute(
        update(MediaFile)
        .where(MediaFile.id == media_id, MediaFile.state == "waiting")
        .values(state=state, reason=reason, state_at=func.now())
        .returning(MediaFile.id)
    )
    return found.first() is not None


async def forget_of(session: Session, message_id: UUID, reason: str) -> None:
    """Note that a message's file is to be shown no longer, whatever it is."""
    await session.execute(
        update(MediaFile)
        .where(MediaFile.message_id == message_id, MediaFile.state != "removed")
        .values(state="removed", reason=reason, state_at=func.now())
    )


async def wait_again(session: Session, media_id: UUID) -> int | None:
    """Wait once more for a file that did not come, and return how often that was; None for any other."""
    return await session.scalar(
        update(MediaFile)
        .where(MediaFile.id == media_id, MediaFile.state.in_(("refused", "gone")))
        .values(state="waiting", reason=None, state_at=func.now(), tries=MediaFile.tries + 1)
        .returning(MediaFile.tries)
    )


async def attach(session: Session, media_id: UUID, message_id: UUID) -> MediaFile | None:
    """Give a file that was chosen to a message, once; None for a file that is not there or is taken."""
    return await session.scalar(
        update(MediaFile)
        .where(MediaFile.id == media_id, MediaFile.message_id.is_(None), MediaFile.state == "stored")
        .values(message_id=message_id)
        .returning(MediaFile)
    )


async def count_unsent(session: Session, business_id: int, *, limit: int) -> int:
    """Count the files that were chosen and not sent, up to a limit."""
    unsent = (
        select(MediaFile.id)
        .where(
            MediaFile.business_id == business_id,
            MediaFile.message_id.is_(None),
            MediaFile.created_at > func.now() - UNSENT_KEPT,
        )
        .limit(limit)
        .subquery()
    )
    return int(await session.scalar(select(func.count()).select_from(unsent)) or 0)


async def list_removable(session: Session, *, older_than: timedelta, walk: Walk, limit: int) -> list[OldFile]:
    """Return files that the storage has no longer to hold, the oldest first, from where a walk stands."""
    age, state_age = func.now() - MediaFile.created_at, func.now() - MediaFile.state_at
    rows = await session.execute(
        select(
            MediaFile.id,
            MediaFile.business_id,
            MediaFile.id.label("key"),
            MediaFile.created_at.label("at"),
        )
        .where(
            MediaFile.is_held,
            or_(
                age > older_than,
                MediaFile.message_id.is_(None) & (age > UNSENT_KEPT),
                MediaFile.state.in_(ENDED) & (state_age > LEFTOVERS_KEPT),
            ),
            tuple_(MediaFile.created_at, MediaFile.id) > tuple_(walk.after, walk.after_id),
        )
        .order_by(MediaFile.created_at, MediaFile.id)
        .limit(limit)
    )
    return [OldFile(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


REMOVED = """
UPDATE media_file
SET is_held = false, reason = coalesce(reason, :reason),
    state = CASE WHEN state IN ('stored', 'waiting') THEN 'removed' ELSE state END
WHERE id = ANY(cast(:ids AS uuid[])) AND message_id IS NOT NULL
"""


async def note_removed(session: Session, media_ids: Sequence[UUID]) -> None:
    """Note that the storage holds nothing of these; a file without a message is forgotten."""
    await session.execute(text(REMOVED), {"ids": list(media_ids), "reason": KEPT_LONG_ENOUGH})
    await session.execute(
        delete(MediaFile)
        .where(MediaFile.id.in_(media_ids), MediaFile.message_id.is_(None))
        .execution_options(synchronize_session=False)
    )
