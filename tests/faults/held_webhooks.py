"""How jobs of webhooks are caught in their middle."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from server.queue.catalog import WebhookDeliver, WebhooksCleanup
from server.secrets import Cipher
from tests.engine import BUSINESS
from tests.faults.held import SLOT, Work, ask
from tests.processes import Installation

DELIVERY = UUID(int=37)
OLD_REQUESTS = "SELECT FROM api_request WHERE key = 'old'"
OLD_HAPPENINGS = "SELECT FROM webhook_event WHERE key = 'old'"


async def subscribe(house: Installation) -> None:
    """Have an event for an endpoint that was turned off meanwhile, and an old answer to a program."""
    await house.value(
        "WITH endpoint AS (INSERT INTO webhook_endpoint (business_id, url, events, secret_encrypted, state)"
        " VALUES ($1, 'https://n8n.example', '{lead.created}', 'sealed', 'off') RETURNING id),"
        " event AS (INSERT INTO webhook_event (business_id, type, key, data)"
        " VALUES ($1, 'lead.created', 'a test', '{}') RETURNING id),"
        " old AS (INSERT INTO webhook_event (business_id, type, key, data, created_at)"
        " VALUES ($1, 'lead.created', 'old', '{}', now() - interval '40 days')),"
        " request AS (INSERT INTO api_request (business_id, key, body_digest, status, answer, created_at)"
        " VALUES ($1, 'old', '', 202, '{}', now() - interval '40 days'))"
        " INSERT INTO webhook_delivery (id, business_id, endpoint_id, event_id)"
        " SELECT $2, $1, endpoint.id, event.id FROM endpoint, event",
        BUSINESS,
        DELIVERY,
    )


async def tell_webhook(house: Installation, url: str, secret: str) -> None:
    """Have an event on its way to an endpoint, and its job asked for."""
    sealed = Cipher(house.addresses.secret_key).encrypt(secret)
    await house.value(
        "WITH endpoint AS (INSERT INTO webhook_endpoint (business_id, url, events, secret_encrypted)"
        " VALUES ($1, $2, '{lead.created}', $3) RETURNING id),"
        " event AS (INSERT INTO webhook_event (business_id, type, key, data)"
        " VALUES ($1, 'lead.created', 'a test', '{}') RETURNING id)"
        " INSERT INTO webhook_delivery (id, business_id, endpoint_id, event_id)"
        " SELECT $4, $1, endpoint.id, event.id FROM endpoint, event",
        BUSINESS,
        url,
        sealed,
        DELIVERY,
    )
    await ask(house, WebhookDeliver(DELIVERY, 1), business_id=BUSINESS)


WORKS: Mapping[str, Work] = {
    "webhook_deliver_job": Work(
        f"SELECT FROM webhook_delivery WHERE id = '{DELIVERY}' FOR UPDATE",
        lambda house: ask(house, WebhookDeliver(DELIVERY, 1), business_id=BUSINESS),
        f"SELECT state = 'waiting' FROM webhook_delivery WHERE id = '{DELIVERY}'",
        f"SELECT state = 'failed' FROM webhook_delivery WHERE id = '{DELIVERY}'",
        after=subscribe,
    ),
    # The events go before the answers, in one transaction: they are still there.
    "webhooks_cleanup_job": Work(
        f"{OLD_REQUESTS} FOR UPDATE",
        lambda house: ask(house, WebhooksCleanup(SLOT)),
        f"SELECT EXISTS ({OLD_HAPPENINGS}) AND EXISTS ({OLD_REQUESTS})",
        f"SELECT NOT EXISTS ({OLD_HAPPENINGS}) AND NOT EXISTS ({OLD_REQUESTS})",
    ),
}
