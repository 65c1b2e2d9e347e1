"""Passwords, kept as argon2id with OWASP's least costly recommended setting.

One lane, because argon2 makes a thread of every further lane and the api may start none.
"""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.domains.accounts.rules import PASSWORD_LONGEST

# Verified against when there is no such user, so that both answers take the same time.
NOBODYS_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$KNP2v0k10Nq2x23/pHIh2g$MKl+8ZjtcoWjzfptmb7xSL8GFbRbJjWvYzBoDTkQRz4"
)


def hash_password(password: str) -> str:
    """Return what to store; takes about 30 ms and 19 MiB."""
    return _hasher().hash(password)


def is_password(password: str, password_hash: str | None) -> bool:
    """Compare in a time that does not tell whether there is a hash at all."""
    try:
        _hasher().verify(password_hash or NOBODYS_HASH, password[:PASSWORD_LONGEST])
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Tell whether a hash was made with other settings than today's."""
    return _hasher().check_needs_rehash(password_hash)


def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
