"""Making businesses and users, and the three ways in: password, entry link, API key.

Every credential is random, shown once, and stored as a digest. Its row is found in a
transaction that holds nothing but that digest; what follows happens in a second one that is
limited to the business it led to.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError

from server.db import Database, Session
from server.db.tenancy import credential_digest
from server.domains.accounts import passwords, queries
from server.domains.accounts.attempts import Attempts
from server.domains.accounts.queries import KeyFound, Login
from server.domains.accounts.rules import (
    ENTRY_LINK_TTL,
    PASSWORD_LONGEST,
    PASSWORD_SHORTEST,
    is_email,
    new_api_key,
    new_token,
    normalise_email,
)
from server.errors import BadInputError


async def create_business(
    session: Session, *, name: str, business_id: int | None = None, language: str = "he"
) -> int:
    """Make a business and let this transaction see it; return its id.

    Raises BadInputError `business_exists` when the wished id is taken.
    """
    if business_id is not None:
        if not await queries.insert_business(session, business_id, name=name, language=language):
            raise BadInputError(
                "business_exists", f"Business {business_id} exists already: choose another id."
            )
        return business_id
    # An id that was wished for is not taken out of the sequence, so the sequence may meet it.
    while not await queries.insert_business(
        session, number := await queries.next_business_id(session), name=name, language=language
    ):
        pass
    return number


async def create_user(
    session: Session,
    *,
    email: str,
    name: str,
    business_id: int,
    role: str = "owner",
    password: str | None = None,
) -> UUID:
    """Make a user who belongs to a business; return their id.

    Raises BadInputError `email_invalid`, `email_taken` or `password_unfit`.
    """
    address = normalise_email(email)
    if not is_email(address):
        raise BadInputError("email_invalid", "That is not an e-mail address: write it as name@example.com.")
    password_hash = None if password is None else passwords.hash_password(_fit(password))
    user_id = uuid4()
    try:
        async with session.begin_nested():
            await queries.insert_user(session, user_id, email=address, name=name, password_hash=password_hash)
    except IntegrityError:
        raise BadInputError(
            "email_taken", "A user with this e-mail address exists: log in instead."
        ) from None
    await queries.insert_membership(session, business_id, user_id, role)
    return user_id


async def log_in(database: Database, attempts: Attempts, *, email: str, password: str, address: str) -> str:
    """Open a session for whoever knows the password; return its token.

    `address` is where the attempt comes from. Raises BadInputError `too_many_attempts` or
    `wrong_credentials`, which never says which of the two was wrong.
    """
    account = normalise_email(email)
    if not attempts.allow(account=account, address=address):
        raise BadInputError("too_many_attempts", "Too many attempts: wait a quarter of an hour.")
    async with database.transaction(credentials=[credential_digest(account)]) as session:
        user = await queries.find_user_by_email(session, account) if is_email(account) else None
    if not passwords.is_password(password, user.password_hash if user else None) or user is None:
        raise BadInputError("wrong_credentials", "The e-mail address or the password is wrong.")
    async with database.transaction(user_id=user.id) as session:
        businesses = await queries.list_businesses_of(session, user.id)
        if user.password_hash and passwords.is_outdated(user.password_hash):
            await queries.update_password(session, user.id, passwords.hash_password(password))
    if not businesses:
        raise BadInputError("wrong_credentials", "The e-mail address or the password is wrong.")
    attempts.succeeded(account=account, address=address)
    async with database.transaction(businesses[0], user_id=user.id) as session:
        return await _open_session(session, businesses[0], user.id)


async def issue_entry_link(
    session: Session, business_id: int, user_id: UUID, ttl: timedelta = ENTRY_LINK_TTL
) -> str:
    """Make a link that logs a user in once; return its token, which is stored nowhere."""
    token = new_token()
    await queries.insert_entry_link(
        session, credential_digest(token), business_id=business_id, user_id=user_id, ttl=ttl
    )
    return token


async def use_entry_link(database: Database, token: str) -> str | None:
    """Use a link up and return a session's token; None when it is unknown, used or too old."""
    digest = credential_digest(token)
    async with database.transaction(credentials=[digest]) as session:
        found = await queries.find_link_owner(session, digest)
    if found is None:
        return None
    async with database.transaction(found.business_id, user_id=found.user_id) as session:
        if not await queries.mark_link_used(session, digest):
            return None
        return await _open_session(session, found.business_id, found.user_id)


async def find_session(database: Database, token: str) -> Login | None:
    """Return who holds this session, and prolong it; None when it ended."""
    digest = credential_digest(token)
    async with database.transaction(credentials=[digest]) as session:
        found = await queries.find_session_owner(session, digest)
    if found is None:
        return None
    async with database.transaction(found.business_id, user_id=found.user_id) as session:
        if not found.is_seen_lately:
            await queries.prolong_session(session, digest)
        return await queries.read_login(session, digest)


async def is_still_logged_in(session: Session, login: Login) -> bool:
    """Ask again, within a transaction of the login's business, without prolonging it."""
    return await queries.read_login(session, login.token_digest) is not None


async def log_out(database: Database, login: Login) -> None:
    """End a session; its token opens nothing from then on."""
    async with database.transaction(login.business_id) as session:
        await queries.delete_session(session, login.token_digest)


async def create_api_key(session: Session, business_id: int, name: str) -> tuple[UUID, str]:
    """Make a key for a program; return its id and the key, which is shown this once."""
    prefix, key = new_api_key()
    key_id = await queries.insert_api_key(
        session, business_id=business_id, name=name, prefix=prefix, token_digest=credential_digest(key)
    )
    return key_id, key


async def find_api_key(database: Database, key: str) -> KeyFound | None:
    """Return what a key opens, or None when it is unknown or revoked."""
    digest = credential_digest(key)
    async with database.transaction(credentials=[digest]) as session:
        found = await queries.find_key(session, digest)
    if found is not None and not found.is_seen_lately:
        async with database.transaction(found.business_id) as session:
            await queries.mark_key_used(session, found.key_id)
    return found


async def revoke_api_key(session: Session, key_id: UUID) -> bool:
    """Take a key of this transaction's business out of force; tell whether there is such a key."""
    return await queries.mark_key_revoked(session, key_id)


async def forget_expired_logins(session: Session, limit: int = 1000) -> int:
    """Delete what ended a day ago or more, at most `limit` of each kind; return how many rows."""
    return await queries.delete_expired(session, limit)


async def _open_session(session: Session, business_id: int, user_id: UUID) -> str:
    token = new_token()
    await queries.insert_session(
        session,
        credential_digest(token),
        business_id=business_id,
        user_id=user_id,
        csrf_token=secrets.token_urlsafe(32),
    )
    return token


def _fit(password: str) -> str:
    if not PASSWORD_SHORTEST <= len(password) <= PASSWORD_LONGEST:
        raise BadInputError(
            "password_unfit", f"A password has {PASSWORD_SHORTEST} to {PASSWORD_LONGEST} characters."
        )
    return password
