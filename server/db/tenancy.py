"""Which business's rows a transaction may see.

Row-level security compares `business_id` with the setting `prosaas.businesses`, a list of
ids that lasts as long as the transaction. A query that forgot its filter returns nothing.
Before a business is known, a row can be found only by the digest of its own credential
(`prosaas.credentials`) or by the user it belongs to (`prosaas.user`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from uuid import UUID

DIGEST = re.compile("[0-9a-f]{64}")


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
    """Return the value of `prosaas.credentials` for these digests; raise ValueError for anything else."""
    told = list(digests)
    if not all(DIGEST.fullmatch(digest) for digest in told):
        raise ValueError("a credential is found by its digest, never by itself")
    return ",".join(told)


def begin_statement(business_ids: Iterable[int], digests: Iterable[str], user_id: UUID | None = None) -> str:
    """Return what opens a transaction with its scope in one round trip; numbers, digests and a UUID only.

    What is not given is not set: without a setting nothing is seen, and none outlasts its transaction.
    """
    scope = {
        "businesses": business_list(business_ids),
        "credentials": credential_list(digests),
        '"user"': user_setting(user_id),
    }
    return "BEGIN" + "".join(
        f"; SET LOCAL prosaas.{name} = '{value}'" for name, value in scope.items() if value
    )


def user_setting(user_id: UUID | None) -> str:
    """Return the value of `prosaas.user`."""
    return "" if user_id is None else str(user_id)
