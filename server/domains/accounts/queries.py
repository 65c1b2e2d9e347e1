"""The SQL of accounts; rows come back typed, and only those the transaction may see."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from server.db import Session, text
from server.domains.accounts.models import ApiKey, Business, EntryLink, LoginSession, Membership, UserAccount
from server.domains.accounts.rules import MOST_API_KEYS, SEEN_EVERY, SESSION_IDLE, SESSION_LONGEST


@dataclass(frozen=True)
class Login:
    """Who is logged in, to which business, and the token that their forms must carry."""

    token_digest: str
    business_id: int
    business_name: str
    language: str
    time_zone: str
    user_id: UUID
    user_name: str
    role: str
    csrf_token: str


@dataclass(frozen=True)
class Found:
    """What a credential leads to before anything else is known."""

    business_id: int
    user_id: UUID
    is_seen_lately: bool = True


@dataclass(frozen=True)
class KeyFound:
    """An API key that is in force; it never carries the key itself."""

    key_id: UUID
    business_id: int
    name: str
    is_seen_lately: bool


async def next_business_id(session: Session) -> int:
    """Take the next number of the sequence."""
    number = await session.scalar(text("SELECT nextval(pg_get_serial_sequence('business', 'id'))"))
    return int(number or 0)


async def widen_scope(session: Session, business_id: int) -> None:
    """Let the transaction that makes a business see it."""
    await session.execute(
        text(
            "SELECT set_config('prosaas.businesses',"
            " concat_ws(',', nullif(current_setting('prosaas.businesses', true), ''),"
            " cast(:id AS text)), true)"
        ),
        {"id": str(business_id)},
    )


async def insert_business(session: Session, business_id: int, *, name: str, language: str) -> bool:
    """Insert a business unless its id is taken; tell whether it was inserted."""
    await widen_scope(session, business_id)
    row = await session.execute(
        upsert(Business)
        .values(id=business_id, name=name, language=language)
        .on_conflict_do_nothing(index_elements=[Business.id])
        .returning(Business.id)
    )
    return row.first() is not None


async def find_business(session: Session, business_id: int) -> Business | None:
    """Return a business of this transaction, or None."""
    return await session.get(Business, business_id)


async def find_user_by_email(session: Session, email: str) -> UserAccount | None:
    """Find a user by normalised address; the transaction must hold the address's digest or the user."""
    return await session.scalar(select(UserAccount).where(UserAccount.email == email))


async def read_member_names(session: Session, user_ids: Collection[UUID]) -> Mapping[UUID, str]:
    """Return the names of those of these people whom the transaction's businesses know."""
    if not user_ids:
        return {}
    found = await session.execute(
        select(UserAccount.id, UserAccount.name)
        .where(UserAccount.id.in_(user_ids))
        .order_by(UserAccount.id)
        .limit(len(user_ids))
    )
    return {row.id: row.name for row in found}


async def insert_user(
    session: Session, user_id: UUID, *, email: str, name: str, password_hash: str | None
) -> None:
    """Insert a user under an id of the caller's choice: it is not visible yet, so nothing is returned."""
    await session.execute(
        insert(UserAccount).values(id=user_id, email=email, name=name, password_hash=password_hash).inline()
    )


async def insert_membership(session: Session, business_id: int, user_id: UUID, role: str) -> None:
    """Let a user into a business; a second time changes nothing."""
    await session.execute(
        upsert(Membership)
        .values(business_id=business_id, user_id=user_id, role=role)
        .on_conflict_do_nothing(index_elements=[Membership.business_id, Membership.user_id])
    )


async def list_businesses_of(session: Session, user_id: UUID) -> Sequence[int]:
    """Return the ids of a user's businesses, the one they joined first in front."""
    rows = await session.scalars(
        select(Membership.business_id)
        .where(Membership.user_id == user_id)
        .order_by(Membership.created_at, Membership.business_id)
        .limit(100)
    )
    return rows.all()


async def update_password(session: Session, user_id: UUID, password_hash: str) -> None:
    """Store another hash; only the user's own transaction may."""
    await session.execute(
        update(UserAccount).where(UserAccount.id == user_id).values(password_hash=password_hash)
    )


async def insert_session(
    session: Session, token_digest: str, *, business_id: int, user_id: UUID, csrf_token: str
) -> None:
    """Open a session; the database's clock says when it ends."""
    await session.execute(
        insert(LoginSession).values(
            token_digest=token_digest,
            business_id=business_id,
            user_id=user_id,
            csrf_token=csrf_token,
            expires_at=func.now() + SESSION_IDLE,
        )
    )


async def find_session_owner(session: Session, token_digest: str) -> Found | None:
    """Find whose session a digest belongs to, unless it has ended."""
    row = (
        await session.execute(
            select(
                LoginSession.business_id,
                LoginSession.user_id,
                (LoginSession.last_seen_at > func.now() - SEEN_EVERY).label("seen"),
            ).where(
                LoginSession.token_digest == token_digest,
                LoginSession.expires_at > func.now(),
                LoginSession.created_at > func.now() - SESSION_LONGEST,
            )
        )
    ).one_or_none()
    return None if row is None else Found(row.business_id, row.user_id, row.seen)


async def read_login(session: Session, token_digest: str) -> Login | None:
    """Return a live session with its user and business; None once the user left the business."""
    row = (
        await session.execute(
            select(LoginSession, Business, UserAccount.name, Membership.role)
            .join(Business, Business.id == LoginSession.business_id)
            .join(UserAccount, UserAccount.id == LoginSession.user_id)
            .join(
                Membership,
                (Membership.user_id == LoginSession.user_id)
                & (Membership.business_id == LoginSession.business_id),
            )
            .where(LoginSession.token_digest == token_digest, LoginSession.expires_at > func.now())
        )
    ).one_or_none()
    if row is None:
        return None
    login, business, user_name, role = row
    return Login(
        token_digest=token_digest,
        business_id=business.id,
        business_name=business.name,
        language=business.language,
        time_zone=business.time_zone,
        user_id=login.user_id,
        user_name=user_name,
        role=role,
        csrf_token=login.csrf_token,
    )


async def prolong_session(session: Session, token_digest: str) -> None:
    """Note that a session is in use: it ends later, but never past its longest age."""
    await session.execute(
        update(LoginSession)
        .where(LoginSession.token_digest == token_digest)
        .values(
            last_seen_at=func.now(),
            expires_at=func.least(func.now() + SESSION_IDLE, LoginSession.created_at + SESSION_LONGEST),
        )
    )


async def delete_session(session: Session, token_digest: str) -> None:
    """End a session."""
    await session.execute(delete(LoginSession).where(LoginSession.token_digest == token_digest))


async def insert_entry_link(
    session: Session, token_digest: str, *, business_id: int, user_id: UUID, ttl: timedelta
) -> None:
    """Store a link that works once, until `ttl` from now by the database's clock."""
    await session.execute(
        insert(EntryLink).values(
            token_digest=token_digest, business_id=business_id, user_id=user_id, expires_at=func.now() + ttl
        )
    )


async def find_link_owner(session: Session, token_digest: str) -> Found | None:
    """Find whom a link would let in, used or not."""
    row = (
        await session.execute(
            select(EntryLink.business_id, EntryLink.user_id).where(EntryLink.token_digest == token_digest)
        )
    ).one_or_none()
    return None if row is None else Found(row.business_id, row.user_id)


async def mark_link_used(session: Session, token_digest: str) -> bool:
    """Use a link up; of several at once exactly one is told True."""
    row = await session.execute(
        update(EntryLink)
        .where(
            EntryLink.token_digest == token_digest,
            EntryLink.used_at.is_(None),
            EntryLink.expires_at > func.now(),
        )
        .values(used_at=func.now())
        .returning(EntryLink.token_digest)
    )
    return row.first() is not None


async def insert_api_key(
    session: Session, *, business_id: int, name: str, prefix: str, token_digest: str
) -> UUID:
    """Store a key's digest and return its id."""
    key_id: UUID = (
        await session.execute(
            insert(ApiKey)
            .values(business_id=business_id, name=name, prefix=prefix, token_digest=token_digest)
            .returning(ApiKey.id)
        )
    ).scalar_one()
    return key_id


async def list_api_keys(session: Session) -> Sequence[ApiKey]:
    """Return the keys of this transaction's business that are in force, the oldest first."""
    return (
        await session.scalars(
            select(ApiKey)
            .where(ApiKey.revoked_at.is_(None))
            .order_by(ApiKey.created_at, ApiKey.id)
            .limit(MOST_API_KEYS)
        )
    ).all()


async def find_key(session: Session, token_digest: str) -> KeyFound | None:
    """Find a key that is in force by its digest."""
    row = (
        await session.execute(
            select(
                ApiKey.id,
                ApiKey.business_id,
                ApiKey.name,
                func.coalesce(ApiKey.last_used_at > func.now() - SEEN_EVERY, False).label("seen"),
            ).where(ApiKey.token_digest == token_digest, ApiKey.revoked_at.is_(None))
        )
    ).one_or_none()
    return None if row is None else KeyFound(row.id, row.business_id, row.name, row.seen)


async def mark_key_used(session: Session, key_id: UUID) -> None:
    """Note that a key is in use."""
    await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=func.now()))


async def mark_key_revoked(session: Session, key_id: UUID) -> bool:
    """Take a key out of force, once; tell whether there is such a key."""
    row = await session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id)
        .values(revoked_at=func.coalesce(ApiKey.revoked_at, func.now()))
        .returning(ApiKey.id)
    )
    return row.first() is not None


async def delete_expired(session: Session, limit: int) -> int:
    """Delete sessions and links that ended a day ago or more; return how many rows went."""
    gone = 0
    for table in ("login_session", "entry_link"):
        rows = await session.execute(
            text(
                f"DELETE FROM {table} WHERE token_digest IN (SELECT token_digest FROM {table}"  # noqa: S608 -- the two names above
                " WHERE expires_at < now() - interval '1 day' ORDER BY expires_at LIMIT :limit)"
                " RETURNING 1"
            ),
            {"limit": limit},
        )
        gone += len(rows.all())
    return gone
