"""Which business's rows a transaction may see.

Row-level security compares `business_id` with the setting `prosaas.businesses`, a list of
ids that lasts as long as the transaction. A query that forgot its filter returns nothing.
Before a business is known, a row can be found only by the digest of its own credential
(`prosaas.credentials`) or by the user it belongs to (`prosaas.user`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from uuid import UUID

BUSINESSES = "prosaas.businesses"
CREDENTIALS = "prosaas.credentials"
USER = "prosaas.user"

SET_LOCAL = "SELECT set_config($1, $2, true)"


def business_list(business_ids: Iterable[int]) -> str:
    """Return the value of `prosaas.businesses` for these ids."""
    return ",".join(str(int(business_id)) for business_id in business_ids)


def credential_digest(credential: str) -> str:
    """Return the digest under which a random secret is stored and found, 64 hex digits.

    A plain hash is enough: every credential is random and long, so there is nothing to guess,
    and looking a digest up leaks no timing of the secret itself.
    """
    return hashlib.sha256(credential.encode()).hexdigest()


def credential_list(digests: Iterable[str]) -> str:
    """Return the value of `prosaas.credentials` for these digests."""
    return ",".join(digests)


def user_setting(user_id: UUID | None) -> str:
    """Return the value of `prosaas.user`."""
    return "" if user_id is None else str(user_id)
