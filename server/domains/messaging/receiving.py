"""The inbox: events of webhooks, stored with their jobs before anyone is answered.

This is the one path where thousands of requests meet, so it speaks plain SQL on the driver, and
requests of the same moment share one transaction (group commit).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg
import orjson
from prometheus_client import Counter, Histogram

from server.db.session import Database
from server.errors import BadInputError, ProsaasError, StoreUnavailableError
from server.log import get_logger, where
from server.ports import RawEvent
from server.queue.asking import Asked, Changed, Dispatch, insert
from server.queue.catalog import WebhookProcess

log = get_logger(__name__)

STORED = Counter(
    "prosaas_inbox_events_stored", "Events stored, by whether they were known already.", ["known"]
)
BATCH = Histogram(
    "prosaas_inbox_batch_requests", "Requests that shared one transaction.", buckets=(1, 2, 5, 10, 50, 200)
)

MOST_REQUESTS = 500
# An escaped NUL, but not an escaped backslash followed by the text "u0000".
NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

# Finds whose secrets these are, and lets the transaction see those businesses from here on.
CHANNELS = """
WITH found AS MATERIALIZED (
    SELECT id, business_id, token_digest FROM channel
    WHERE token_digest = ANY($1::text[]) AND kind = 'whatsapp_bridge' ORDER BY id LIMIT 10000
), scope AS MATERIALIZED (
    SELECT set_config('prosaas.businesses', string_agg(DISTINCT business_id::text, ','), true) AS businesses
    FROM found
)
SELECT id, business_id, token_digest FROM found, scope WHERE scope.businesses <> ''
"""
STORE = """
INSERT INTO inbox_event (id, business_id, channel_id, event_id, lane, payload, payload_hash, reason)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::jsonb[], $7::bytea[],
                     $8::text[])
ON CONFLICT (business_id, channel_id, event_id) DO NOTHING
RETURNING id
"""
# The same id with other content is kept and flagged: a provider that reuses ids must be seen.
FLAG = """
INSERT INTO inbox_conflict (business_id, inbox_event_id, payload, payload_hash)
SELECT event.business_id, event.id, told.payload, told.payload_hash
FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::jsonb[], $5::bytea[])
     AS told (business_id, channel_id, event_id, payload, payload_hash)
JOIN inbox_event AS event USING (business_id, channel_id, event_id)
WHERE event.payload_hash <> told.payload_hash
ON CONFLICT (inbox_event_id, payload_hash) DO NOTHING
"""


class WrongSecretError(ProsaasError):
    """No channel has this secret."""


class UnknownBusinessError(ProsaasError):
    """The secret is a channel's, but not this business's; never says which businesses exist."""


@dataclass(frozen=True)
class Delivery:
    """One webhook: whose secret it carried, which business it says it is for, and how to cut it.

    `split` is called only once the secret is known to be a channel's: a stranger's body costs no
    more than its parsing. It may raise BadInputError.
    """

    secret_digest: str
    business_id: int
    split: Callable[[], Sequence[RawEvent]]


@dataclass
class _Waiting:
    delivery: Delivery
    answer: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(frozen=True)
class _Accepted:
    waiting: _Waiting
    channel_id: UUID
    events: Sequence[RawEvent]


@dataclass(frozen=True)
class _Row:
    id: UUID
    business_id: int
    channel_id: UUID
    event: RawEvent
    payload: str
    payload_hash: bytes


class Receiver:
    """Stores deliveries; each caller waits for the commit that holds its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    async def receive(self, delivery: Delivery) -> int:
        """Store a delivery and return how many events it held, known ones included.

        Raises WrongSecretError, UnknownBusinessError, or StoreUnavailableError when nothing was
        committed: the sender must try again.
        """
        waiting = _Waiting(delivery)
        self._waiting.append(waiting)
        # One writer: while it waits for its commit the next requests gather, so that the busier it
        # gets the more of them share a transaction. Two made smaller batches, and cost more.
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return await waiting.answer

    async def _write(self) -> None:
        while self._waiting:
            batch = self._take()
            BATCH.observe(len(batch))
            try:
                await self._store(batch)
            except StoreUnavailableError as error:
                _refuse(batch, error)
            except Exception as error:  # noqa: BLE001 -- one delivery's content must not fail its neighbours
                log.error("batch_failed", requests=len(batch), error=type(error).__name__, where=where(error))
                await self._store_alone(batch)

    def _take(self) -> list[_Waiting]:
        """Take what waits, up to a bounded number of requests."""
        batch, self._waiting = self._waiting[:MOST_REQUESTS], self._waiting[MOST_REQUESTS:]
        return batch

    async def _store_alone(self, batch: list[_Waiting]) -> None:
        for waiting in batch:
            try:
                await self._store([waiting])
            except StoreUnavailableError as error:
                _refuse([waiting], error)
            except Exception as error:  # noqa: BLE001 -- reported to the sender as not stored, and recorded
                log.error("delivery_failed", error=type(error).__name__, where=where(error))
                _refuse([waiting], StoreUnavailableError("the delivery could not be stored"))

    async def _store(self, batch: list[_Waiting]) -> None:
        digests = {one.delivery.secret_digest for one in batch}
        async with self._database.driver_transaction(credentials=digests) as connection:
            channels = await _channels(connection, digests)
            accepted, refused = _match(batch, channels)
            outbox = await _insert(connection, accepted) if accepted else []
        await self._database.announce(outbox)
        for one in accepted:
            _answer(one.waiting, len(one.events))
        for waiting, error in refused:
            _refuse([waiting], error)


async def _channels(connection: asyncpg.Connection, digests: set[str]) -> dict[str, dict[int, UUID]]:
    found: dict[str, dict[int, UUID]] = {}
    for row in await connection.fetch(CHANNELS, list(digests)):
        found.setdefault(row["token_digest"], {})[row["business_id"]] = row["id"]
    return found


def _match(
    batch: list[_Waiting], channels: dict[str, dict[int, UUID]]
) -> tuple[list[_Accepted], list[tuple[_Waiting, ProsaasError]]]:
    accepted: list[_Accepted] = []
    refused: list[tuple[_Waiting, ProsaasError]] = []
    for waiting in batch:
        own = channels.get(waiting.delivery.secret_digest)
        if own is None:
            refused.append((waiting, WrongSecretError("no channel has this secret")))
        elif waiting.delivery.business_id not in own:
            refused.append((waiting, UnknownBusinessError("no such business for this secret")))
        else:
            try:
                events = waiting.delivery.split()
            except BadInputError as error:
                refused.append((waiting, error))
            else:
                accepted.append(_Accepted(waiting, own[waiting.delivery.business_id], events))
    return accepted, refused


async def _insert(connection: asyncpg.Connection, accepted: list[_Accepted]) -> list[Dispatch | Changed]:
    rows = [
        _row(one.waiting.delivery.business_id, one.channel_id, event)
        for one in accepted
        for event in one.events
    ]
    if not rows:
        return []
    businesses = {row.business_id for row in rows}
    # In one order everywhere, so that two transactions with the same events cannot deadlock.
    new = await _store_new(connection, sorted(rows, key=_identity))
    STORED.labels("no").inc(len(new))
    if len(new) < len(rows):
        known = [row for row in rows if row.id not in new]
        STORED.labels("yes").inc(len(known))
        await _flag(connection, known)
    dispatches = await insert(connection, [_job(row) for row in rows if row.id in new])
    return [*dispatches, *(Changed(business_id, "inbox", "") for business_id in businesses)]


async def _store_new(connection: asyncpg.Connection, rows: list[_Row]) -> set[UUID]:
    stored = await connection.fetch(
        STORE,
        [row.id for row in rows],
        [row.business_id for row in rows],
        [row.channel_id for row in rows],
        [row.event.event_id for row in rows],
        [row.event.lane for row in rows],
        [row.payload for row in rows],
        [row.payload_hash for row in rows],
        [row.event.reason for row in rows],
    )
    return {row["id"] for row in stored}


async def _flag(connection: asyncpg.Connection, known: list[_Row]) -> None:
    await connection.execute(
        FLAG,
        [row.business_id for row in known],
        [row.channel_id for row in known],
        [row.event.event_id for row in known],
        [row.payload for row in known],
        [row.payload_hash for row in known],
    )


def _identity(row: _Row) -> tuple[int, UUID, str]:
    return row.business_id, row.channel_id, row.event.event_id


def _row(business_id: int, channel_id: UUID, event: RawEvent) -> _Row:
    payload = orjson.dumps(event.payload, option=orjson.OPT_SORT_KEYS)
    return _Row(uuid4(), business_id, channel_id, event, storable(payload), hashlib.sha256(payload).digest())


def storable(payload: bytes) -> str:
    """Return JSON that jsonb takes: U+FFFD stands for U+0000, the one character it cannot hold."""
    text = payload.decode()
    return NUL.sub("\\1\ufffd", text) if "\\u0000" in text else text


def _job(row: _Row) -> Asked:
    return Asked(WebhookProcess(row.id), row.business_id, lane=f"{row.channel_id}:{row.event.lane}")


def _answer(waiting: _Waiting, stored: int) -> None:
    if not waiting.answer.done():
        waiting.answer.set_result(stored)


def _refuse(batch: Sequence[_Waiting], error: ProsaasError) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
