"""What pages show of endpoints and of what they were told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from server.db.session import Session, driver_of

ENDPOINTS = """
SELECT endpoint.id, url, description, events, state, failing_since, state_at,
       coalesce(older_secret_until > now(), false) AS has_older_secret,
       (SELECT count(*) FROM webhook_delivery
        WHERE endpoint_id = endpoint.id AND webhook_delivery.state = 'failed') AS failed,
       (SELECT max(ended_at) FROM webhook_delivery
        WHERE endpoint_id = endpoint.id AND webhook_delivery.state = 'delivered') AS delivered_at
FROM webhook_endpoint AS endpoint
WHERE business_id = $1 AND ($2::uuid IS NULL OR id = $2) ORDER BY created_at, id LIMIT 20
"""
STOPPED = """
SELECT id, url, state FROM webhook_endpoint
WHERE business_id = $1 AND state IN ('gone', 'failing') ORDER BY state_at, id LIMIT 20
"""
HAS = "SELECT EXISTS (SELECT FROM webhook_endpoint WHERE id = $1)"
LOG = """
SELECT delivery.id, event.type, delivery.state, delivery.reason, delivery.next_at, event.created_at,
       event.id AS event_id,
       (SELECT coalesce(jsonb_agg(to_jsonb(made) ORDER BY made.number DESC), '[]')
        FROM (SELECT number, status, duration_ms, error, answer FROM webhook_attempt
              WHERE delivery_id = delivery.id ORDER BY number DESC LIMIT 20) AS made)::text AS attempts
FROM webhook_delivery AS delivery JOIN webhook_event AS event ON event.id = delivery.event_id
WHERE delivery.endpoint_id = $1 ORDER BY delivery.created_at DESC, delivery.id LIMIT $2
"""


@dataclass(frozen=True)
class EndpointRow:
    """An endpoint as its page shows it; never its secret."""

    id: UUID
    url: str
    description: str
    events: Sequence[str]
    state: str
    failing_since: datetime | None
    state_at: datetime
    has_older_secret: bool
    failed: int
    delivered_at: datetime | None


@dataclass(frozen=True)
class StoppedEndpoint:
    """An endpoint that was turned off by itself, and waits for its owner; `state` says why."""

    id: UUID
    url: str
    state: str


@dataclass(frozen=True)
class DeliveryRow:
    """One event on its way to an endpoint, with its tries, the newest first."""

    id: UUID
    type: str
    state: str
    reason: str | None
    next_at: datetime | None
    created_at: datetime
    event_id: UUID
    attempts: Sequence[dict[str, Any]]


async def list_endpoints(session: Session, business_id: int) -> list[EndpointRow]:
    """Return a business's endpoints, the oldest first."""
    rows = await (await driver_of(session)).fetch(ENDPOINTS, business_id, None)
    return [EndpointRow(**dict(row)) for row in rows]


async def find_endpoint(session: Session, business_id: int, endpoint_id: UUID) -> EndpointRow | None:
    """Return one of a business's endpoints."""
    row = await (await driver_of(session)).fetchrow(ENDPOINTS, business_id, endpoint_id)
    return None if row is None else EndpointRow(**dict(row))


async def has_endpoint(session: Session, endpoint_id: UUID) -> bool:
    """Tell whether this transaction's business has an endpoint."""
    return bool(await (await driver_of(session)).fetchval(HAS, endpoint_id))


async def list_stopped(session: Session, business_id: int) -> list[StoppedEndpoint]:
    """Return the endpoints that were turned off by themselves, the first of them first."""
    rows = await (await driver_of(session)).fetch(STOPPED, business_id)
    return [StoppedEndpoint(**dict(row)) for row in rows]


async def read_log(session: Session, endpoint_id: UUID, limit: int) -> list[DeliveryRow]:
    """Return an endpoint's deliveries, the newest first."""
    rows = await (await driver_of(session)).fetch(LOG, endpoint_id, limit)
    return [DeliveryRow(**(dict(row) | {"attempts": orjson.loads(row["attempts"])})) for row in rows]
