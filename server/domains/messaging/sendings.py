"""The SQL of messages of ours and the effects that they hang on."""

from __future__ import annotations

from uuid import UUID

from server.db import Session, text
from server.domains.messaging.stored import COLUMNS, StoredMessage, message_of

CONVERSATION = "SELECT conversation_id FROM message WHERE effect_key = :key ORDER BY id LIMIT 1"
GET = f"SELECT {COLUMNS} FROM message WHERE effect_key = :key ORDER BY id LIMIT 1"  # noqa: S608 -- composed of constants
LOCK = f"SELECT {COLUMNS} FROM message WHERE id = :id ORDER BY id LIMIT 1 FOR UPDATE"  # noqa: S608 -- the same
NAME_EFFECT = "UPDATE message SET effect_key = :key WHERE id = :id"


async def find_sending(session: Session, effect_key: str) -> UUID | None:
    """Return the conversation of the message that hangs on an effect."""
    found: UUID | None = await session.scalar(text(CONVERSATION), {"key": effect_key})
    return found


async def get_sending(session: Session, effect_key: str) -> StoredMessage | None:
    """Return the message that hangs on an effect."""
    return message_of((await session.execute(text(GET), {"key": effect_key})).first())


async def lock_sending(session: Session, effect_key: str) -> StoredMessage | None:
    """Return the message that hangs on an effect, and let no one else change it meanwhile."""
    return message_of((await session.execute(text(GET + " FOR UPDATE"), {"key": effect_key})).first())


async def lock_message(session: Session, message_id: UUID) -> StoredMessage | None:
    """Return a message as it is now, and let no one else change it meanwhile."""
    return message_of((await session.execute(text(LOCK), {"id": message_id})).first())


async def name_effect(session: Session, message_id: UUID, effect_key: str) -> None:
    """Store on which effect a message of ours hangs."""
    await session.execute(text(NAME_EFFECT), {"id": message_id, "key": effect_key})
