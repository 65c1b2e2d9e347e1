"""Who there is: businesses, the people who run them, and the credentials they come with."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from server.db.base import Base, BusinessId, CreatedAt, Id, Moment


class Business(Base):
    """A tenant; language is he or en, time_zone an IANA name, country two letters."""

    __tablename__ = "business"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str]
    language: Mapped[str] = mapped_column(server_default="he")
    country: Mapped[str] = mapped_column(server_default="IL")
    time_zone: Mapped[str] = mapped_column(server_default="Asia/Jerusalem")
    ai_enabled: Mapped[bool] = mapped_column(server_default="true")
    takeover_minutes: Mapped[int] = mapped_column(server_default="30")
    shows_reading: Mapped[bool] = mapped_column(server_default="true")
    created_at: Mapped[CreatedAt]


class UserAccount(Base):
    """A person who logs in; without a password hash only an entry link lets them in."""

    __tablename__ = "user_account"

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str | None]
    created_at: Mapped[CreatedAt]


class Membership(Base):
    """That a user belongs to a business; role is owner or member."""

    __tablename__ = "membership"
    __table_args__ = (Index("membership_user", "user_id"),)

    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.id"), primary_key=True)
    role: Mapped[str] = mapped_column(server_default="owner")
    created_at: Mapped[CreatedAt]


class LoginSession(Base):
    """One browser that is logged in to one business; found by the digest of its cookie."""

    __tablename__ = "login_session"
    __table_args__ = (Index("login_session_expiry", "business_id", "expires_at"),)

    token_digest: Mapped[str] = mapped_column(primary_key=True)
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.id"))
    csrf_token: Mapped[str]
    created_at: Mapped[CreatedAt]
    last_seen_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]


class EntryLink(Base):
    """A link that logs its user in once."""

    __tablename__ = "entry_link"
    __table_args__ = (Index("entry_link_expiry", "business_id", "expires_at"),)

    token_digest: Mapped[str] = mapped_column(primary_key=True)
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]
    used_at: Mapped[datetime | None]


class ApiKey(Base):
    """A program's credential for one business; `prefix` tells keys apart on a page."""

    __tablename__ = "api_key"
    __table_args__ = (Index("api_key_business", "business_id"),)

    id: Mapped[Id]
    business_id: Mapped[BusinessId] = mapped_column(ForeignKey("business.id"))
    name: Mapped[str]
    prefix: Mapped[str]
    token_digest: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
