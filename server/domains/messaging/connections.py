"""What a bridge says of its own connection to WhatsApp: kept, shown, and followed by what waited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from server.db import Database, Session, text
from server.domains.messaging.receiving import CHANNELS, UnknownBusinessError, WrongSecretError
from server.domains.messaging.reopening import ask_to_reopen
from server.log import get_logger
from server.queue import Changed

log = get_logger(__name__)

# What was stored so long after a bridge lost its connection had come before.
ON_ITS_WAY = timedelta(minutes=1)

NOTE = """
UPDATE channel SET connection = :connection, connection_reason = :reason, connection_at = now()
FROM (SELECT id, connection AS before FROM channel WHERE id = :channel_id FOR UPDATE) AS former
WHERE channel.id = former.id AND token_digest = :digest
  AND (connection, connection_reason) IS DISTINCT FROM (cast(:connection AS text), cast(:reason AS text))
RETURNING former.before
"""
# A report of the return may be lost: a customer's message, or one of ours that went out, says the same.
AWAY = """
SELECT id, connection_reason AS reason, connection_at AS since FROM channel
WHERE connection = 'disconnected' AND NOT EXISTS (
    SELECT FROM conversation JOIN message ON message.conversation_id = conversation.id
    WHERE conversation.business_id = channel.business_id AND conversation.channel_id = channel.id
      AND conversation.last_message_at > connection_at + cast(:on_its_way AS interval)
      AND message.created_at > connection_at + cast(:on_its_way AS interval)
      AND (message.direction = 'in' OR message.status IN ('sent', 'delivered', 'read')))
ORDER BY connection_at, id LIMIT 100
"""


class Connection(StrEnum):
    """How a bridge stands to WhatsApp."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


class Reason(StrEnum):
    """Why a bridge is not connected, where it says so and we know the word."""

    LOGGED_OUT = "logged_out"
    SESSION_REPLACED = "session_replaced"
    GAVE_UP = "max_attempts_exceeded"
    WAITS_FOR_CODE = "waiting_qr"


@dataclass(frozen=True)
class Away:
    """A channel whose bridge is not connected: since when, and why where that is known."""

    channel_id: UUID
    reason: Reason | None
    since: datetime


async def note_connection(
    database: Database, *, digest: str, business_id: int, connection: Connection | None, reason: Reason | None
) -> None:
    """Keep what a bridge says; on its return what waits is tried at once.

    The same once more changes nothing, nor does None, which is neither. Raises WrongSecretError,
    UnknownBusinessError or StoreUnavailableError.
    """
    async with database.driver_transaction(credentials=[digest]) as driver:
        found = {row["business_id"]: row["id"] for row in await driver.fetch(CHANNELS, [digest])}
    if not found:
        raise WrongSecretError("no channel has this secret")
    if business_id not in found:
        raise UnknownBusinessError("no such business for this secret")
    if connection is None:
        return
    names = {"channel_id": found[business_id], "digest": digest, "connection": connection, "reason": reason}
    async with database.transaction(business_id) as session:
        before = await session.scalar(text(NOTE), names)
        if before is None:
            return
        session.outbox.append(Changed(business_id, "channel", found[business_id]))
        if connection is Connection.CONNECTED and before == Connection.DISCONNECTED:
            await ask_to_reopen(session, business_id, found[business_id])
    _tell(str(found[business_id]), connection, reason)


async def list_away(session: Session) -> Sequence[Away]:
    """Return the channels of the transaction's business whose bridges are not connected."""
    rows = await session.execute(text(AWAY), {"on_its_way": ON_ITS_WAY})
    return [Away(row.id, Reason(row.reason) if row.reason else None, row.since) for row in rows]


def _tell(channel_id: str, connection: Connection, reason: Reason | None) -> None:
    if connection is Connection.CONNECTED:
        log.info("bridge_connected", channel_id=channel_id)
    else:
        log.warning("bridge_disconnected", channel_id=channel_id, reason=reason)
