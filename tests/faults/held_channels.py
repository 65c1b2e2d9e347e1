"""How a job about a channel is caught in its handler."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from server.queue.catalog import ChannelReconnected
from tests.engine import BUSINESS
from tests.faults.held import SLOT, Work, ask
from tests.processes import Installation

CHANNEL = UUID(int=71)
HELD = f"FROM provider_account WHERE name = '{CHANNEL}'"


async def hold(house: Installation) -> None:
    """Have a number whose account is held until its owner acts."""
    await house.value(
        "WITH number AS (INSERT INTO channel (id, business_id, kind, name, base_url, secret_encrypted,"
        "  token_digest) VALUES ($2, $1, 'whatsapp_cloud', 'held', '', '', '-') RETURNING id)"
        " INSERT INTO provider_account (provider, name, tokens, failures, reason, held_at, closed_until)"
        " SELECT 'whatsapp_cloud', id::text, 0, 5, 'held:credentials', now(), now() + interval '1 hour'"
        " FROM number",
        BUSINESS,
        CHANNEL,
    )


WORKS: Mapping[str, Work] = {
    "channel_reconnected_job": Work(
        f"SELECT {HELD} FOR UPDATE",
        lambda house: ask(house, ChannelReconnected(CHANNEL, SLOT), business_id=BUSINESS),
        f"SELECT held_at IS NOT NULL {HELD}",
        f"SELECT held_at IS NULL AND closed_until IS NULL {HELD}",
        after=hold,
    ),
}
