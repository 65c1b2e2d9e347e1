"""The doors of numbers that have a webhook of their own: what comes in is checked with the number's secrets.

Nobody's rows can be seen before it is known whose they are, so a door is found by a key that this
installation derives from the channel's id, and of which the channel holds the digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from server.db.gathering import Gathering
from server.db.session import Database
from server.errors import ProsaasError

MOST_REQUESTS = 500
DOORS = """
SELECT token_digest AS digest, id::text AS channel_id, business_id, account_id,
       signing_secret_encrypted AS signing_secret, verify_token_encrypted AS verify_token
FROM channel WHERE token_digest = ANY($1::text[]) AND kind = 'whatsapp_cloud' ORDER BY id LIMIT 10000
"""


class UnknownChannelError(ProsaasError):
    """There is no such channel, or it is closed; never says which there are."""


class WrongTokenError(ProsaasError):
    """Whoever asks to verify a webhook's address does not know its token."""


@dataclass(frozen=True)
class Door:
    """A number's webhook; the secrets are sealed, and empty where the number has none."""

    digest: str
    channel_id: str
    business_id: int
    account_id: str
    signing_secret: str = field(repr=False)
    verify_token: str = field(repr=False)


class Doors:
    """Finds doors. Read anew each time: a secret that was replaced opens nothing from that moment."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._finding: Gathering[str, Door | None] = Gathering(self._find, most=MOST_REQUESTS)

    async def find(self, digest: str) -> Door:
        """Return the door of a key; raise UnknownChannelError, or StoreUnavailableError."""
        door = await self._finding.ask(digest)
        if door is None:
            raise UnknownChannelError("no channel has this address")
        return door

    async def _find(self, digests: Sequence[str]) -> list[Door | None]:
        async with self._database.driver_transaction(credentials=set(digests)) as connection:
            rows = await connection.fetch(DOORS, list(set(digests)))
        found = {row["digest"]: Door(**row) for row in rows}
        return [found.get(digest) for digest in digests]
