"""What is known of a file: where it comes from, what became of it, what it is."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db.base import Base, BusinessId, CreatedAt, Id


class MediaFile(Base):
    """A message's file, or one that a person has chosen and not sent yet; the storage knows it by `id`.

    `mimetype_told` is what the sender said, `mimetype` what its bytes say. `is_held` while the storage may
    hold something of it, whatever its state.
    """

    __tablename__ = "media_file"
    __table_args__ = (
        UniqueConstraint("business_id", "id"),
        ForeignKeyConstraint(
            ["business_id", "message_id"],
            ["message.business_id", "message.id"],
            ondelete="SET NULL (message_id)",
        ),
        Index("media_file_held", "created_at", "id", postgresql_where=text("is_held")),
        Index("media_file_business", "business_id", "created_at"),
    )

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    message_id: Mapped[UUID | None] = mapped_column(unique=True)
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="waiting")
    reason: Mapped[str | None]
    tries: Mapped[int] = mapped_column(server_default="0")
    is_held: Mapped[bool] = mapped_column(server_default="false")
    file_name: Mapped[str | None]
    mimetype_told: Mapped[str | None]
    mimetype: Mapped[str | None]
    size_bytes: Mapped[int | None]
    sha256: Mapped[str | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    duration_s: Mapped[int | None]
    created_at: Mapped[CreatedAt]
    state_at: Mapped[CreatedAt]
