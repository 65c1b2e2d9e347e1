"""That a call was recorded, and whether its file is still there."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db.base import Base, BusinessId, CreatedAt, Id


class Recording(Base):
    """One recorded call; `storage_key` names its file, which is gone once `deleted_at` says when."""

    __tablename__ = "recording"
    __table_args__ = (
        Index("recording_kept", "recorded_at", "id", postgresql_where=text("deleted_at IS NULL")),
        Index("recording_business", "business_id", "recorded_at"),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    storage_key: Mapped[UUID] = mapped_column(Uuid, unique=True, server_default=text("gen_random_uuid()"))
    size_bytes: Mapped[int]
    recorded_at: Mapped[CreatedAt]
    deleted_at: Mapped[datetime | None]
