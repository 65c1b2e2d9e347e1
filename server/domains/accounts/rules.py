"""How long a login lasts, and what an address and a credential look like."""

from __future__ import annotations

import re
import secrets
from datetime import timedelta

SESSION_IDLE = timedelta(days=7)
SESSION_LONGEST = timedelta(days=30)
SEEN_EVERY = timedelta(minutes=1)
ENTRY_LINK_TTL = timedelta(days=1)

MOST_API_KEYS = 50

PASSWORD_SHORTEST = 10
# Hashing is bounded work only if its input is.
PASSWORD_LONGEST = 1000

_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,255}")


def normalise_email(email: str) -> str:
    """Return the one spelling under which an address is stored and found."""
    return email.strip().lower()


def is_email(email: str) -> bool:
    """Tell whether a normalised address could receive mail; only sending proves it does."""
    return _EMAIL.fullmatch(email) is not None


def new_token() -> str:
    """Return a secret of 256 random bits that fits into a URL and a cookie."""
    return secrets.token_urlsafe(32)


def new_api_key() -> tuple[str, str]:
    """Return a prefix that may be shown again, and the whole key, which may not."""
    prefix = secrets.token_hex(4)
    return prefix, f"psk_{prefix}_{new_token()}"
