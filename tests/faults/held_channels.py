"""How a job about a channel is caught in its handler."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from server.queue.catalog import ChannelReconnected, TemplatesRefresh, TemplatesSync
from server.secrets import Cipher
from tests.engine import BUSINESS
from tests.faults.held import SLOT, Work, ask
from tests.processes import Installation

CHANNEL = UUID(int=71)
BRIDGE = "FROM channel WHERE kind = 'whatsapp_bridge' AND business_id = $1 ORDER BY id LIMIT 1"
HELD = f"FROM provider_account WHERE name = '{CHANNEL}'"


async def hold(house: Installation) -> None:
    """Have a number whose account is held until its owner acts."""
    await house.value(
        "WITH number AS (INSERT INTO channel (id, business_id, kind, name, base_url, secret_encrypted,"
        "  token_digest) VALUES ($2, $1, 'whatsapp_cloud', 'held', '', $3, '-') RETURNING id)"
        " INSERT INTO provider_account (provider, name, tokens, failures, reason, held_at, closed_until)"
        " SELECT 'whatsapp_cloud', id::text, 0, 5, 'held:credentials', now(), now() + interval '1 hour'"
        " FROM number",
        BUSINESS,
        CHANNEL,
        Cipher(house.addresses.secret_key).encrypt("nobody's token"),
    )


async def outlive(house: Installation) -> None:
    """Have a template on the bridge, which lists none."""
    await house.value(
        "INSERT INTO message_template (business_id, channel_id, name, language, status, body)"
        f" SELECT business_id, id, 'outlived', 'he', 'APPROVED', 'hello' {BRIDGE}",
        BUSINESS,
    )


async def ask_for_outlived(house: Installation) -> None:
    """Ask for the templates of the bridge; the template itself cannot be looked at meanwhile."""
    channel_id = await house.value(f"SELECT id {BRIDGE}", BUSINESS)
    await ask(house, TemplatesSync(channel_id, SLOT), business_id=BUSINESS)


OUTLIVED = "FROM message_template WHERE name = 'outlived'"
EVERY_TEMPLATE = "LOCK TABLE message_template IN ACCESS EXCLUSIVE MODE"
ASKED_FOR = f"FROM job WHERE kind = 'templates_sync_job' AND payload ->> 'channel_id' = '{CHANNEL}'"
WORKS: Mapping[str, Work] = {
    "templates_sync_job": Work(
        EVERY_TEMPLATE,
        ask_for_outlived,
        # Whoever looks at it waits with the job.
        "SELECT true",
        f"SELECT status = 'ARCHIVED' {OUTLIVED}",
        after=outlive,
    ),
    "templates_refresh_job": Work(
        EVERY_TEMPLATE,
        lambda house: ask(house, TemplatesRefresh(SLOT)),
        f"SELECT count(*) = 0 {ASKED_FOR}",
        f"SELECT count(*) = 1 {ASKED_FOR}",
    ),
    "channel_reconnected_job": Work(
        f"SELECT {HELD} FOR UPDATE",
        lambda house: ask(house, ChannelReconnected(CHANNEL, SLOT), business_id=BUSINESS),
        f"SELECT held_at IS NOT NULL {HELD}",
        f"SELECT held_at IS NULL AND closed_until IS NULL {HELD}",
        after=hold,
    ),
}
