"""Saying that something happened, in the transaction in which it did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from server.db import Session
from server.domains.integrations import queries
from server.domains.integrations.rules import EVENTS
from server.queue import Asked, enqueue_all, leave_all
from server.queue.catalog import WebhookDeliver

Data: TypeAlias = Mapping[str, Any]
Gathered: TypeAlias = Callable[[], Awaitable[Data]]


@dataclass(frozen=True)
class Happening:
    """One event to be told, as `emit` takes it."""

    type: str
    data: Data
    key: str
    subject: str = ""


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
    wanting = {event_type: await _wanting(session, business_id, event_type)}
    if wanting[event_type]:
        told = data if isinstance(data, Mapping) else await data()
        happened = [Happening(event_type, told, key, subject)]
        await enqueue_all(session, await _kept(session, business_id, happened, wanting))


async def emit_all(session: Session, business_id: int, happened: Sequence[Happening]) -> None:
    """Tell many events as `emit` tells one, in as few statements, and in their order.

    They go out as the business's turn comes, a moment later than a single one.
    """
    wanting = {name: await _wanting(session, business_id, name) for name in {one.type for one in happened}}
    wanted = [one for one in happened if wanting[one.type]]
    if wanted:
        await leave_all(session, await _kept(session, business_id, wanted, wanting))


async def _wanting(session: Session, business_id: int, event_type: str) -> list[UUID]:
    if event_type not in EVENTS:
        raise LookupError(f"{event_type} is no event: enter it in rules.EVENTS")
    return await queries.find_wanting(session, business_id, event_type)


async def _kept(
    session: Session, business_id: int, happened: Sequence[Happening], wanting: Mapping[str, Sequence[UUID]]
) -> list[Asked]:
    """Keep the events that are new, with their deliveries; return the jobs that deliver them."""
    events = [(one.type, one.key, one.data) for one in happened]
    ids = await queries.insert_events(session, business_id, events)
    wanted = [
        (endpoint_id, ids[one.type, one.key], one.subject)
        for one in happened
        if (one.type, one.key) in ids
        for endpoint_id in wanting[one.type]
    ]
    if not wanted:
        return []
    deliveries = await queries.insert_deliveries(session, business_id, [one[:2] for one in wanted])
    return [
        Asked(
            WebhookDeliver(deliveries[endpoint_id, event_id], 1),
            business_id,
            lane=f"webhook:{endpoint_id}:{subject}" if subject else None,
        )
        for endpoint_id, event_id, subject in wanted
    ]
