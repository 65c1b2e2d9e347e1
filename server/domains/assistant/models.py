"""What a business has told its assistant."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Computed, ForeignKey, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from server.db.base import Base, BusinessId, CreatedAt, Id

SEARCH = (
    "setweight(to_tsvector('simple'::regconfig, title), 'A')"
    " || setweight(to_tsvector('simple'::regconfig, body), 'B')"
)


class KnowledgeEntry(Base):
    """One thing the assistant may tell customers; language is he or en."""

    __tablename__ = "knowledge_entry"
    __table_args__ = (UniqueConstraint("business_id", "language", "title"),)

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    title: Mapped[str]
    body: Mapped[str]
    language: Mapped[str] = mapped_column(server_default=text("'he'"))
    search: Mapped[str] = mapped_column(TSVECTOR, Computed(SEARCH, persisted=True), nullable=True)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
