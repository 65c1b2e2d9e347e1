"""Saying that something happened, in the transaction in which it did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from server.db import Session
from server.domains.integrations import queries
from server.domains.integrations.rules import EVENTS
from server.queue import enqueue
from server.queue.catalog import WebhookDeliver

Data: TypeAlias = Mapping[str, Any]
Gathered: TypeAlias = Callable[[], Awaitable[Data]]


async def emit(
    session: Session,
    business_id: int,
    event_type: str,
    data: Data | Gathered,
    *,
    key: str,
    subject: str = "",
) -> None:
    """Tell an event to every endpoint that wants it, once this transaction commits.

    `key` says which happening it is: told twice, it is one event. What takes reading can be given as
    a function, which is called only where somebody listens. First tries of one `subject` (a
    conversation, a lead) go out in their order; one that failed is not waited for.
    """
    if event_type not in EVENTS:
        raise LookupError(f"{event_type} is no event: enter it in rules.EVENTS")
    endpoints = await queries.find_wanting(session, business_id, event_type)
    if not endpoints:
        return
    told = data if isinstance(data, Mapping) else await data()
    event_id = await queries.insert_event(session, business_id, event_type=event_type, key=key, data=told)
    if event_id is None:
        return
    for delivery_id, endpoint_id in await queries.insert_deliveries(
        session, business_id, endpoints, event_id
    ):
        await enqueue(
            session,
            WebhookDeliver(delivery_id, 1),
            business_id=business_id,
            lane=f"webhook:{endpoint_id}:{subject}" if subject else None,
        )
