"""The window of a channel: how long after a customer's last message free text may be sent.

Meta counts 24 hours from when the customer wrote; outside of it only templates go
(https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-messages#customer-service-windows).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from server.db import Session, text

# For those who have no provider at hand, by kind of channel; a test holds it against the providers.
LENGTHS: Mapping[str, timedelta] = {"whatsapp_cloud": timedelta(hours=24)}
CLOSED = "not sent: the customer wrote too long ago, so only a template may be sent"
# By the provider's clock, which decides. What came late opened no window later than it was written; a clock
# of theirs that runs ahead opens none beyond the moment it came. A no of the provider outweighs our sum.
READ = """
SELECT last.wrote_at + cast(:window AS interval) AS closes_at,
       coalesce(last.wrote_at + cast(:window AS interval) > now()
                AND (conversation.window_closed_at IS NULL OR last.wrote_at > conversation.window_closed_at),
                false) AS is_open
FROM conversation
LEFT JOIN LATERAL (
    SELECT max(least(coalesce(newest.sent_at, newest.created_at), newest.created_at)) AS wrote_at FROM (
        SELECT sent_at, created_at FROM message
        WHERE message.conversation_id = conversation.id AND message.direction = 'in'
          AND NOT message.details ? 'history'
        ORDER BY position DESC LIMIT 20) AS newest) AS last ON true
WHERE conversation.id = :conversation_id ORDER BY conversation.id LIMIT 1
"""


@dataclass(frozen=True)
class Window:
    """Whether free text may be sent now; `closes_at` is None where the customer never wrote."""

    is_open: bool
    closes_at: datetime | None


async def read(session: Session, conversation_id: UUID, length: timedelta) -> Window:
    """Return a conversation's window on a channel that has one."""
    row = (await session.execute(text(READ), {"conversation_id": conversation_id, "window": length})).first()
    return Window(False, None) if row is None else Window(row.is_open, row.closes_at)
