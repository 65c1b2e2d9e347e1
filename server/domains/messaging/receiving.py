"""The inbox: events of webhooks, stored with their jobs before anyone is answered.

This is the one path where thousands of requests meet, so it speaks plain SQL on the driver, and
requests of the same moment share one transaction (group commit), which is one statement. Of two that
are under way no chat's events are in both: they are stored in the order in which they came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import orjson
from prometheus_client import Counter, Histogram

from server.db.gathering import Gathering
from server.db.session import Database
from server.db.tenancy import business_list, credential_list
from server.db.uuids import uuid7s
from server.domains.messaging.doors import Door
from server.errors import ProsaasError, StoreUnavailableError
from server.ports import RawEvent
from server.queue.asking import Changed, Dispatch, Held, job_id
from server.queue.catalog import WebhookProcess
from server.queue.dispatch import Shares
from server.queue.kinds import KIND_OF

STORED = Counter(
    "prosaas_inbox_events_stored", "Events stored, by whether they were known already.", ["known"]
)
BATCH = Histogram(
    "prosaas_inbox_batch_requests", "Requests that shared one transaction.", buckets=(1, 2, 5, 10, 50, 200)
)

MOST_REQUESTS = 500
# What one transaction may hold; a delivery that is larger has one of its own.
MOST_BYTES = 4 * 1024 * 1024
# While so many wait for the disk to confirm the transaction before theirs, another goes beside it.
SECOND_AT = 64
MOST_REMEMBERED = 10_000
# An escaped NUL, but not an escaped backslash followed by the text "u0000".
NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

CHANNELS = """
SELECT id, business_id, token_digest FROM channel
WHERE token_digest = ANY($1::text[]) AND kind = 'whatsapp_bridge' ORDER BY id LIMIT 10000
"""
STORE = f"SELECT opened, stored FROM take_in_events({', '.join(f'${place}' for place in range(1, 20))})"  # noqa: S608
JOB = KIND_OF[WebhookProcess]
# What every job of the inbox shares, in the order in which take_in_events() takes it.
SHARED = (JOB.name, JOB.version, JOB.queue, int(JOB.urgency), JOB.expires_after_s)


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


class _Opening(NamedTuple):
    """What a delivery came through: the credential it carried, its business and its channel."""

    credential: str
    business_id: int
    channel_id: str


@dataclass(slots=True)
class _Lot:
    """One delivery on its way in; `payloads` are its events' as JSON that jsonb takes."""

    opening: _Opening
    events: Sequence[RawEvent]
    payloads: list[str]

    def weigh(self) -> int:
        """Return about how many bytes go to the database."""
        return sum([len(payload) for payload in self.payloads])

    def lanes(self) -> list[str]:
        """Return the chats that it is of."""
        return [event.lane for event in self.events]


class _Row(NamedTuple):
    """An event, and the job to ask for once it is stored, in the order in which take_in_events() takes them.

    `opening` is a place in the list of the batch's openings, from 1; `straight` says that the job goes to
    its queue at once.
    """

    id: UUID
    opening: int
    event_id: str
    lane: str
    payload: str
    reason: str | None
    job_id: str
    job_payload: str
    straight: bool


class Receiver:
    """Stores deliveries; each caller waits for the commit that holds its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._finding: Gathering[str, dict[int, str]] = Gathering(self._find, most=MOST_REQUESTS)
        self._storing: Gathering[_Lot, bool] = Gathering(
            self._store, most=MOST_BYTES, weigh=_Lot.weigh, second_at=SECOND_AT, lines=_Lot.lanes
        )
        # Settled before a row is written, so that a job whose turn comes later is written once, as it waits.
        self._shares = Shares()
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
        business_id = delivery.business_id
        opening = _Opening(delivery.secret_digest, business_id, opened[business_id])
        payloads = [storable(orjson.dumps(event.payload)) for event in delivery.events]
        return not payloads or await self._storing.ask(_Lot(opening, delivery.events, payloads))

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
        openings = list(dict.fromkeys([lot.opening for lot in batch]))
        places = {opening: place for place, opening in enumerate(openings, 1)}
        ids = iter(uuid7s(sum([len(lot.events) for lot in batch])))
        rows = [row for lot in batch for row in self._rows(lot, places[lot.opening], ids)]
        async with self._database.driver() as connection:
            done = await connection.fetchrow(STORE, *_columns(openings, rows), *SHARED)
        opened, stored = frozenset(done["opened"] or ()), frozenset(done["stored"] or ())
        await self._announce(openings, rows, opened, stored)
        return [places[lot.opening] in opened for lot in batch]

    def _rows(self, lot: _Lot, opening: int, ids: Iterator[UUID]) -> Iterator[_Row]:
        """Yield a delivery's rows; the first of them have places in their business's queue."""
        business_id = lot.opening.business_id
        straight = self._shares.take(business_id, len(lot.events))
        for number, (event, payload) in enumerate(zip(lot.events, lot.payloads, strict=True)):
            event_id = next(ids)
            job_payload = JOB.encode(WebhookProcess(event_id))
            yield _Row(
                event_id,
                opening,
                event.event_id,
                event.lane,
                payload,
                event.reason,
                job_id(JOB.name, business_id, key=job_payload, epoch=0),
                job_payload,
                number < straight,
            )

    async def _announce(
        self,
        openings: Sequence[_Opening],
        rows: Sequence[_Row],
        opened: frozenset[int],
        stored: frozenset[int],
    ) -> None:
        """Tell of the jobs that are new and of the businesses that have them; count what came."""
        straight: list[object] = []
        held: list[str] = []
        for place, row in enumerate(rows, 1):
            business_id = openings[row.opening - 1].business_id
            if place not in stored:
                self._shares.give_back(business_id, int(row.straight))
            elif row.straight:
                straight.append(Dispatch(row.job_id, JOB.name, JOB.queue, business_id, 1, has_place=True))
            else:
                held.append(row.job_id)
        STORED.labels("no").inc(len(stored))
        STORED.labels("yes").inc(sum([row.opening in opened for row in rows]) - len(stored))
        hints = [Changed(openings[place - 1].business_id, "inbox", "") for place in opened]
        waiting = [Held(JOB.name, len(held), held[0])] if held else []
        await self._database.announce([*straight, *waiting, *hints])


def _columns(openings: Sequence[_Opening], rows: Sequence[_Row]) -> list[object]:
    """Return the scope, the openings and the rows as take_in_events() takes them: by columns."""
    credentials, businesses, channels = zip(*openings, strict=True)
    scope = credential_list(set(credentials)), business_list(set(businesses))
    return [*scope, credentials, businesses, channels, *zip(*rows, strict=True)]


def storable(told: bytes) -> str:
    """Return JSON that jsonb takes: U+FFFD stands for U+0000, the one character it cannot hold."""
    text = told.decode()
    return NUL.sub("\\1\ufffd", text) if "\\u0000" in text else text
