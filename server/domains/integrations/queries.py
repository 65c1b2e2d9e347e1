"""The SQL of endpoints, events and deliveries; only rows that the transaction may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from server.db.session import Session, driver_of

MOST_ENDPOINTS = 20

WANTED = """
SELECT id, events FROM webhook_endpoint WHERE business_id = $1 AND state = 'on' ORDER BY id LIMIT 20
"""
INSERT_EVENTS = """
INSERT INTO webhook_event (business_id, type, key, data)
SELECT $1, type, key, data::jsonb
FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS told (type, key, data, place)
ORDER BY place
ON CONFLICT (business_id, type, key) DO NOTHING RETURNING id, type, key
"""
INSERT_DELIVERIES = """
INSERT INTO webhook_delivery (business_id, endpoint_id, event_id, next_at)
SELECT $1, endpoint_id, event_id, now()
FROM unnest($2::uuid[], $3::uuid[]) AS wanting (endpoint_id, event_id) RETURNING id, endpoint_id, event_id
"""
TASK = """
SELECT delivery.id, delivery.business_id, delivery.endpoint_id, delivery.state, delivery.tries,
       delivery.round_from, delivery.round_at, event.id AS event_id, event.type, event.data::text AS data,
       event.created_at, endpoint.url, endpoint.state AS endpoint_state, endpoint.secret_encrypted,
       CASE WHEN endpoint.older_secret_until > now() THEN endpoint.older_secret_encrypted END
           AS older_secret_encrypted
FROM webhook_delivery AS delivery
JOIN webhook_event AS event ON event.id = delivery.event_id
JOIN webhook_endpoint AS endpoint ON endpoint.id = delivery.endpoint_id
WHERE delivery.id = $1 ORDER BY delivery.id LIMIT 1
"""
# What a run of before wrote of the same try stays.
RECORD_ATTEMPT = """
INSERT INTO webhook_attempt (delivery_id, number, business_id, status, duration_ms, error, answer)
SELECT id, $2, business_id, $3, $4, $5, $6 FROM webhook_delivery WHERE id = $1
ON CONFLICT (delivery_id, number) DO NOTHING
"""
END_DELIVERY = """
UPDATE webhook_delivery SET state = $3, reason = $4, next_at = NULL, ended_at = now()
WHERE id = $1 AND tries = $2 AND state = 'waiting'
"""
NEXT_TRY = """
UPDATE webhook_delivery SET tries = tries + 1, reason = $3, next_at = now() + $4::interval
WHERE id = $1 AND tries = $2 AND state = 'waiting' RETURNING tries
"""
RECOVERED = "UPDATE webhook_endpoint SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL"
FAILED = """
UPDATE webhook_endpoint
SET failing_since = coalesce(failing_since, now()),
    state = CASE WHEN failing_since < now() - $2::interval THEN 'failing' ELSE state END,
    state_at = CASE WHEN failing_since < now() - $2::interval THEN now() ELSE state_at END
WHERE id = $1 AND state = 'on' RETURNING state
"""
TURN = """
UPDATE webhook_endpoint SET state = $2, state_at = now(),
                            failing_since = CASE WHEN $2 <> 'on' THEN failing_since END
WHERE id = $1 AND state <> $2 RETURNING id
"""
AGAIN = """
UPDATE webhook_delivery SET state = 'waiting', tries = tries + 1, round_from = tries + 1, round_at = now(),
                            next_at = now(), reason = NULL, ended_at = NULL
WHERE id IN (
    SELECT id FROM webhook_delivery
    WHERE endpoint_id = $1 AND state <> 'waiting' AND ($2::uuid IS NULL OR id = $2)
      AND ($3::timestamptz IS NULL OR state = 'failed' AND ended_at >= $3)
    ORDER BY created_at LIMIT $4 FOR UPDATE)
RETURNING id, endpoint_id, tries
"""
INSERT_ENDPOINT = """
INSERT INTO webhook_endpoint (business_id, url, description, events, secret_encrypted)
SELECT $1, $2, $3, $4, $5
WHERE (SELECT count(*) FROM webhook_endpoint WHERE business_id = $1) < $6 RETURNING id
"""
CHANGE_ENDPOINT = """
UPDATE webhook_endpoint SET url = $2, description = $3, events = $4 WHERE id = $1 RETURNING id
"""
ROTATE = """
UPDATE webhook_endpoint
SET older_secret_encrypted = secret_encrypted, older_secret_until = now() + $3::interval,
    secret_encrypted = $2
WHERE id = $1 RETURNING id
"""
FIND_ON = "SELECT id FROM webhook_endpoint WHERE id = $1 AND state = 'on' ORDER BY id LIMIT 1"
DELETE_ENDPOINT = "DELETE FROM webhook_endpoint WHERE id = $1 RETURNING id"
FORGET_EVENTS = """
DELETE FROM webhook_event WHERE id IN (
    SELECT id FROM webhook_event WHERE created_at < now() - $1::interval
    AND NOT EXISTS (SELECT FROM webhook_delivery WHERE event_id = webhook_event.id AND state = 'waiting')
    ORDER BY created_at LIMIT $2)
RETURNING id
"""
FORGET_REQUESTS = """
DELETE FROM api_request WHERE (business_id, key) IN (
    SELECT business_id, key FROM api_request WHERE created_at < now() - $1::interval
    ORDER BY created_at LIMIT $2)
RETURNING key
"""
# Asked for under the same key at once, the second waits for the first here.
FIND_REQUEST = (
    "SELECT body_digest, status, answer::text AS answer FROM api_request WHERE business_id = $1 AND key = $2"
)
LOCK_REQUEST = "SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 1))"
KEEP_REQUEST = """
INSERT INTO api_request (business_id, key, body_digest, status, answer) VALUES ($1, $2, $3, $4, $5::jsonb)
"""


@dataclass(frozen=True)
class Task:
    """A delivery with all that one try takes; `data` is JSON."""

    id: UUID
    business_id: int
    endpoint_id: UUID
    state: str
    tries: int
    round_from: int
    round_at: datetime
    event_id: UUID
    type: str
    data: str
    created_at: datetime
    url: str
    endpoint_state: str
    secret_encrypted: str
    older_secret_encrypted: str | None


@dataclass(frozen=True)
class Attempted:
    """What came of one try; no status where no answer came, no error where it was delivered."""

    status: int | None = None
    duration_ms: int | None = None
    error: str | None = None
    answer: str = ""


@dataclass(frozen=True)
class Again:
    """A delivery that is to be told again, as the try of this number."""

    id: UUID
    endpoint_id: UUID
    number: int


async def find_wanting(session: Session, business_id: int, event_type: str) -> list[UUID]:
    """Return the endpoints that want events of a type, as they were when the transaction first asked.

    A message tells several events at once, and most businesses have no endpoint.
    """
    known: dict[int, list[asyncpg.Record]] = session.info.setdefault("webhook_endpoints", {})
    if business_id not in known:
        known[business_id] = await (await driver_of(session)).fetch(WANTED, business_id)
    return [row["id"] for row in known[business_id] if event_type in row["events"]]


async def insert_events(
    session: Session, business_id: int, events: Sequence[tuple[str, str, Mapping[str, Any]]]
) -> dict[tuple[str, str], UUID]:
    """Keep events of (type, key, data); return the ids of the new ones by type and key."""
    types, keys, data = zip(*events, strict=True)
    encoded = [orjson.dumps(one, default=str).decode() for one in data]
    rows = await (await driver_of(session)).fetch(
        INSERT_EVENTS, business_id, list(types), list(keys), encoded
    )
    return {(row["type"], row["key"]): row["id"] for row in rows}


async def insert_deliveries(
    session: Session, business_id: int, wanted: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], UUID]:
    """Make deliveries, each for an endpoint and an event; return their ids by both."""
    rows = await (await driver_of(session)).fetch(
        INSERT_DELIVERIES, business_id, [one for one, _ in wanted], [event for _, event in wanted]
    )
    return {(row["endpoint_id"], row["event_id"]): row["id"] for row in rows}


async def read_task(session: Session, delivery_id: UUID) -> Task | None:
    """Return a delivery with all that a try takes; None once it was forgotten."""
    row = await (await driver_of(session)).fetchrow(TASK, delivery_id)
    return None if row is None else Task(**dict(row))


async def record_attempt(session: Session, delivery_id: UUID, number: int, made: Attempted) -> None:
    """Write a try into the log."""
    await (await driver_of(session)).execute(
        RECORD_ATTEMPT, delivery_id, number, made.status, made.duration_ms, made.error, made.answer
    )


async def end_delivery(
    session: Session, delivery_id: UUID, number: int, state: str, reason: str | None
) -> None:
    """Note how a delivery ended, unless somebody began another try of it."""
    await (await driver_of(session)).execute(END_DELIVERY, delivery_id, number, state, reason)


async def plan_next_try(
    session: Session, delivery_id: UUID, number: int, *, reason: str | None, wait: timedelta
) -> int | None:
    """Note when the next try is; return its number, None where somebody began another one."""
    tries: int | None = await (await driver_of(session)).fetchval(NEXT_TRY, delivery_id, number, reason, wait)
    return tries


async def note_recovered(session: Session, endpoint_id: UUID) -> None:
    """Note that an endpoint takes what it is told."""
    await (await driver_of(session)).execute(RECOVERED, endpoint_id)


async def note_failed(session: Session, endpoint_id: UUID, longest: timedelta) -> bool:
    """Note that an endpoint failed; tell whether it was turned off, for it has failed for too long."""
    state = await (await driver_of(session)).fetchval(FAILED, endpoint_id, longest)
    return bool(state == "failing")


async def turn(session: Session, endpoint_id: UUID, state: str) -> bool:
    """Change an endpoint's state; tell whether it was another one."""
    return await (await driver_of(session)).fetchval(TURN, endpoint_id, state) is not None


async def begin_again(
    session: Session,
    endpoint_id: UUID,
    *,
    delivery_id: UUID | None = None,
    failed_since: datetime | None = None,
    limit: int,
) -> list[Again]:
    """Let one delivery that ended, or those that failed since a moment, begin a new round."""
    rows = await (await driver_of(session)).fetch(AGAIN, endpoint_id, delivery_id, failed_since, limit)
    return [Again(row["id"], row["endpoint_id"], row["tries"]) for row in rows]


async def find_on(session: Session, endpoint_id: UUID) -> UUID | None:
    """Return an endpoint that is on."""
    found: UUID | None = await (await driver_of(session)).fetchval(FIND_ON, endpoint_id)
    return found


async def insert_endpoint(
    session: Session, business_id: int, *, url: str, description: str, events: Sequence[str], sealed: str
) -> UUID | None:
    """Make an endpoint; None where the business has as many as it may."""
    endpoint_id: UUID | None = await (await driver_of(session)).fetchval(
        INSERT_ENDPOINT, business_id, url, description, list(events), sealed, MOST_ENDPOINTS
    )
    return endpoint_id


async def change_endpoint(
    session: Session, endpoint_id: UUID, *, url: str, description: str, events: Sequence[str]
) -> bool:
    """Change what an endpoint is; tell whether it is there."""
    found = await (await driver_of(session)).fetchval(
        CHANGE_ENDPOINT, endpoint_id, url, description, list(events)
    )
    return found is not None


async def rotate(session: Session, endpoint_id: UUID, sealed: str, older_lasts: timedelta) -> bool:
    """Give an endpoint a new secret and keep the older one for a while; tell whether it is there."""
    return await (await driver_of(session)).fetchval(ROTATE, endpoint_id, sealed, older_lasts) is not None


async def delete_endpoint(session: Session, endpoint_id: UUID) -> bool:
    """Delete an endpoint with its deliveries; tell whether it was there."""
    return await (await driver_of(session)).fetchval(DELETE_ENDPOINT, endpoint_id) is not None


async def delete_old(session: Session, *, older_than: timedelta, limit: int) -> int:
    """Delete old events with their deliveries, and old answers to programs; return the larger count."""
    driver = await driver_of(session)
    gone = [
        await driver.fetch(statement, older_than, limit) for statement in (FORGET_EVENTS, FORGET_REQUESTS)
    ]
    return max(len(rows) for rows in gone)


async def lock_request(session: Session, business_id: int, key: str) -> None:
    """Let no one else ask under the same key until this transaction ends."""
    await (await driver_of(session)).execute(LOCK_REQUEST, str(business_id), key)


async def find_request(
    session: Session, business_id: int, key: str
) -> tuple[str, int, dict[str, Any]] | None:
    """Return the digest, status and answer of what was asked under a key."""
    row = await (await driver_of(session)).fetchrow(FIND_REQUEST, business_id, key)
    return None if row is None else (row["body_digest"], row["status"], orjson.loads(row["answer"]))


async def keep_request(
    session: Session, business_id: int, key: str, *, digest: str, status: int, answer: Mapping[str, Any]
) -> None:
    """Keep what was answered to a request."""
    await (await driver_of(session)).execute(
        KEEP_REQUEST, business_id, key, digest, status, orjson.dumps(answer, default=str).decode()
    )
