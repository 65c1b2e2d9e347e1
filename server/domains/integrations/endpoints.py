"""What owners do: where events go, with which secret, and telling again what did not arrive."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID, uuid4

from server.db import Session
from server.domains.integrations import queries
from server.domains.integrations.queries import MOST_ENDPOINTS, Again
from server.domains.integrations.rules import (
    LONGEST_DESCRIPTION,
    OLDER_SECRET_LASTS,
    TEST,
    checked_events,
    checked_url,
    is_secret,
    new_secret,
)
from server.errors import BadInputError, ProviderDownError, ProviderRefusedError
from server.ports import WebhookPoster
from server.queue import Changed, Run, enqueue
from server.queue.catalog import WebhookDeliver
from server.secrets import Cipher

# So many are told again at once; the oldest first, and the rest by asking once more.
MOST_AGAIN = 1000
KEPT = timedelta(days=30)
FORGOTTEN_AT_ONCE = 1000

Endpoint: TypeAlias = tuple[UUID, str]


async def look_at(poster: WebhookPoster, url: str) -> bool:
    """Tell whether an address is found just now; to be asked outside a transaction.

    A name that is not there yet may be there tomorrow: it is let in, and its owner told. Every try looks
    anew, for a name may lead elsewhere by then. Raises BadInputError `bad_url`, or `private_url` inside.
    """
    try:
        await poster.require_public(checked_url(url))
    except ProviderRefusedError as refused:
        raise BadInputError("private_url", str(refused)) from refused
    except ProviderDownError:
        return False
    return True


async def add_endpoint(
    session: Session,
    business_id: int,
    *,
    url: str,
    events: Collection[str],
    cipher: Cipher,
    description: str = "",
    secret: str | None = None,
) -> Endpoint:
    """Make an endpoint and return its id and its secret, which is not shown again.

    Raises BadInputError `bad_url`, `no_events`, `bad_secret` or `too_many`.
    """
    known = new_secret() if secret is None else secret
    if not is_secret(known):
        raise BadInputError("bad_secret", "A secret is whsec_ and at least 24 bytes in base64.")
    endpoint_id = await queries.insert_endpoint(
        session,
        business_id,
        url=checked_url(url),
        description=description.strip()[:LONGEST_DESCRIPTION],
        events=checked_events(events),
        sealed=cipher.encrypt(known),
    )
    if endpoint_id is None:
        raise BadInputError("too_many", f"A business has {MOST_ENDPOINTS} endpoints at most.")
    return endpoint_id, known


async def change_endpoint(
    session: Session, endpoint_id: UUID, *, url: str, events: Collection[str], description: str
) -> bool:
    """Change where events go and which; tell whether there is such an endpoint. Raises as adding does."""
    return await queries.change_endpoint(
        session,
        endpoint_id,
        url=checked_url(url),
        description=description.strip()[:LONGEST_DESCRIPTION],
        events=checked_events(events),
    )


async def rotate_secret(session: Session, endpoint_id: UUID, *, cipher: Cipher) -> str | None:
    """Give an endpoint a new secret and return it, None without such an endpoint.

    The older one signs as well for a day.
    """
    secret = new_secret()
    found = await queries.rotate(session, endpoint_id, cipher.encrypt(secret), OLDER_SECRET_LASTS)
    return secret if found else None


async def turn_on(session: Session, endpoint_id: UUID) -> bool:
    """Let an endpoint have events from now on; tell whether it was off."""
    return await queries.turn(session, endpoint_id, "on")


async def turn_off(session: Session, endpoint_id: UUID) -> bool:
    """Let an endpoint have no more events, not even those that wait; tell whether it was on."""
    return await queries.turn(session, endpoint_id, "off")


async def delete_endpoint(session: Session, endpoint_id: UUID) -> bool:
    """Delete an endpoint with its log; tell whether it was there."""
    return await queries.delete_endpoint(session, endpoint_id)


async def send_test(session: Session, business_id: int, endpoint_id: UUID) -> UUID | None:
    """Tell an endpoint an event that means nothing; return the delivery, None where it is off or gone."""
    target = await queries.find_on(session, endpoint_id)
    if target is None:
        return None
    test = (TEST, str(uuid4()), {"business_id": str(business_id)})
    [event_id] = (await queries.insert_events(session, business_id, [test])).values()
    [delivery_id] = (
        await queries.insert_deliveries(session, business_id, [(endpoint_id, event_id)])
    ).values()
    await enqueue(session, WebhookDeliver(delivery_id, 1), business_id=business_id)
    return delivery_id


async def replay(session: Session, business_id: int, endpoint_id: UUID, delivery_id: UUID) -> bool:
    """Tell one event again, delivered or not, under the same id; tell whether it had ended."""
    again = await queries.begin_again(session, endpoint_id, delivery_id=delivery_id, limit=1)
    await _ask(session, business_id, again)
    return bool(again)


async def replay_failed(session: Session, business_id: int, endpoint_id: UUID, since: datetime) -> int:
    """Tell again what failed since a moment, the oldest first; return how many, at most a thousand."""
    again = await queries.begin_again(session, endpoint_id, failed_since=since, limit=MOST_AGAIN)
    await _ask(session, business_id, again)
    return len(again)


async def _ask(session: Session, business_id: int, again: Sequence[Again]) -> None:
    for one in again:
        await enqueue(session, WebhookDeliver(one.id, one.number), business_id=business_id)
    if again:
        session.outbox.append(Changed(business_id, "webhook", again[0].endpoint_id))


async def forget_old(run: Run, *, limit: int) -> int:
    """Delete events that were told a month ago, with their log, and old answers to programs."""
    businesses = await run.every_business()
    gone, found = 0, FORGOTTEN_AT_ONCE
    while businesses and found == FORGOTTEN_AT_ONCE and gone < limit:
        async with run.step(*businesses) as session:
            found = await queries.delete_old(session, older_than=KEPT, limit=FORGOTTEN_AT_ONCE)
        gone += found
    return gone
