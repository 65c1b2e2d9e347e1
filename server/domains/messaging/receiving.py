"""The inbox: events of webhooks, stored with their jobs before anyone is answered.

This is the one path where thousands of requests meet, so it speaks plain SQL on the driver, and
requests of the same moment share one transaction (group commit), which is one statement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from uuid import uuid4

import orjson
from prometheus_client import Counter, Histogram

from server.db.gathering import Gathering
from server.db.session import Database
from server.db.tenancy import business_list, credential_list
from server.domains.messaging.doors import Door
from server.errors import ProsaasError, StoreUnavailableError
from server.ports import RawEvent
from server.queue.asking import Asked, Changed, Dispatch, first_dispatch
from server.queue.catalog import WebhookProcess

STORED = Counter(
    "prosaas_inbox_events_stored", "Events stored, by whether they were known already.", ["known"]
)
BATCH = Histogram(
    "prosaas_inbox_batch_requests", "Requests that shared one transaction.", buckets=(1, 2, 5, 10, 50, 200)
)

MOST_REQUESTS = 500
# What one transaction may hold; a delivery that is larger has one of its own.
MOST_BYTES = 4 * 1024 * 1024
MOST_REMEMBERED = 10_000
# An escaped NUL, but not an escaped backslash followed by the text "u0000".
NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

CHANNELS = """
SELECT id, business_id, token_digest FROM channel
WHERE token_digest = ANY($1::text[]) AND kind = 'whatsapp_bridge' ORDER BY id LIMIT 10000
"""
STORE = "SELECT accepted, stored FROM receive_events($1, $2, $3::jsonb)"


class WrongSecretError(ProsaasError):
    """No channel has this secret."""


class UnknownBusinessError(ProsaasError):
    """The secret is a channel's, but not this business's; never says which businesses exist."""


@dataclass(frozen=True)
class Delivery:
    """One webhook: whose secret it carried, which business it says it is for, and its events."""

    secret_digest: str
    business_id: int
    events: Sequence[RawEvent]


@dataclass(slots=True)
class _Row:
    """An event on its way in: what receive_events() takes of it, and its job once that is asked for."""

    told: bytes
    dispatch: Dispatch


@dataclass(slots=True)
class _Lot:
    """The rows of one delivery."""

    credential: str
    business_id: int
    rows: list[_Row]

    def weigh(self) -> int:
        """Return how many bytes go to the database."""
        return sum([len(row.told) for row in self.rows])


class Receiver:
    """Stores deliveries; each caller waits for the commit that holds its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._finding: Gathering[str, dict[int, str]] = Gathering(self._find, most=MOST_REQUESTS)
        self._storing: Gathering[_Lot, bool] = Gathering(self._store, most=MOST_BYTES, weigh=_Lot.weigh)
        # Which channels a secret opened when last asked. A hint that saves a round trip: what
        # stores the events looks again, and takes nothing for a channel that is closed by then.
        self._remembered: dict[str, dict[int, str]] = {}

    async def require_secret(self, digest: str) -> None:
        """Raise WrongSecretError unless it is a channel's: nothing of a stranger's need be read."""
        if digest not in self._remembered:
            await self._channels_of(digest)

    async def receive(self, delivery: Delivery) -> int:
        """Store a delivery and return how many events it held, known ones included.

        Raises WrongSecretError, UnknownBusinessError, or StoreUnavailableError when nothing was
        committed: the sender must try again.
        """
        opened: Mapping[int, str] = self._remembered.get(delivery.secret_digest, {})
        if delivery.business_id in opened and await self._stored(delivery, opened):
            return len(delivery.events)
        opened = await self._channels_of(delivery.secret_digest)
        if delivery.business_id not in opened:
            raise UnknownBusinessError("no such business for this secret")
        if not await self._stored(delivery, opened):
            raise StoreUnavailableError("the channel closed while its event was being stored")
        return len(delivery.events)

    async def receive_at(self, door: Door, events: Sequence[RawEvent]) -> int:
        """Store what came in at a number's door; return how many events it held, known ones included.

        Raises StoreUnavailableError when nothing was committed: the sender must try again.
        """
        delivery = Delivery(door.digest, door.business_id, events)
        if not await self._stored(delivery, {door.business_id: door.channel_id}):
            raise StoreUnavailableError("the channel closed while its event was being stored")
        return len(events)

    async def _stored(self, delivery: Delivery, opened: Mapping[int, str]) -> bool:
        """Store a delivery; False when its channel is closed by now."""
        credential, business_id = delivery.secret_digest, delivery.business_id
        channel_id = opened[business_id]
        rows = [_row(credential, business_id, channel_id, event) for event in delivery.events]
        return not rows or await self._storing.ask(_Lot(credential, business_id, rows))

    async def _channels_of(self, digest: str) -> Mapping[int, str]:
        opened = await self._finding.ask(digest)
        self._remember(digest, opened)
        if not opened:
            raise WrongSecretError("no channel has this secret")
        return opened

    def _remember(self, digest: str, channels: dict[int, str]) -> None:
        """Keep what a secret opens; a stranger's takes no place."""
        if not channels:
            self._remembered.pop(digest, None)
            return
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[digest] = channels

    async def _find(self, digests: Sequence[str]) -> list[dict[int, str]]:
        found: dict[str, dict[int, str]] = {digest: {} for digest in digests}
        async with self._database.driver_transaction(credentials=found) as connection:
            for row in await connection.fetch(CHANNELS, list(found)):
                found[row["token_digest"]][row["business_id"]] = str(row["id"])
        return [found[digest] for digest in digests]

    async def _store(self, batch: Sequence[_Lot]) -> list[bool]:
        """Store deliveries in one transaction; tells of each whether its channel was open."""
        BATCH.observe(len(batch))
        rows = [row for lot in batch for row in lot.rows]
        businesses = {lot.business_id for lot in batch}
        async with self._database.driver() as connection:
            done = await connection.fetchrow(
                STORE,
                credential_list({lot.credential for lot in batch}),
                business_list(businesses),
                (b"[" + b",".join([row.told for row in rows]) + b"]").decode(),
            )
        accepted, new = set(done["accepted"] or ()), done["stored"] or ()
        STORED.labels("no").inc(len(new))
        STORED.labels("yes").inc(len(accepted) - len(new))
        hints = [Changed(business_id, "inbox", "") for business_id in businesses] if accepted else []
        await self._database.announce([*(rows[place - 1].dispatch for place in new), *hints])
        places = accumulate((len(lot.rows) for lot in batch), initial=1)
        return [place in accepted for place, _ in zip(places, batch, strict=False)]


def _row(credential: str, business_id: int, channel_id: str, event: RawEvent) -> _Row:
    event_id = uuid4()
    job = Asked(WebhookProcess(event_id), business_id, lane=f"{channel_id}:{event.lane}").row()
    told = {
        "credential": credential,
        "id": event_id,
        "business_id": business_id,
        "channel_id": channel_id,
        "event_id": event.event_id,
        "lane": event.lane,
        # Encoded apart: what `split` found that can be stored may be as deep as the encoder goes.
        "payload": orjson.Fragment(orjson.dumps(event.payload)),
        "reason": event.reason,
        "job": job,
    }
    return _Row(storable(orjson.dumps(told)), first_dispatch(job))


def storable(told: bytes) -> bytes:
    """Return JSON that jsonb takes: U+FFFD stands for U+0000, the one character it cannot hold."""
    return NUL.sub("\\1\ufffd", told.decode()).encode() if b"\\u0000" in told else told
