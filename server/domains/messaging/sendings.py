"""The SQL of messages of ours and the effects that they hang on."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select, update

from server.db import Session
from server.domains.messaging.models import Message


async def find_sending(session: Session, effect_key: str) -> UUID | None:
    """Return the conversation of the message that hangs on an effect."""
    return await session.scalar(
        select(Message.conversation_id).where(Message.effect_key == effect_key).order_by(Message.id).limit(1)
    )


async def get_sending(session: Session, effect_key: str) -> Message | None:
    """Return the message that hangs on an effect."""
    return await session.scalar(
        select(Message).where(Message.effect_key == effect_key).order_by(Message.id).limit(1)
    )


async def lock_sending(session: Session, effect_key: str) -> Message | None:
    """Return the message that hangs on an effect, and let no one else change it meanwhile."""
    return await session.scalar(
        select(Message)
        .where(Message.effect_key == effect_key)
        .order_by(Message.id)
        .limit(1)
        .with_for_update()
    )


async def lock_message(session: Session, message_id: UUID) -> Message | None:
    """Return a message as it is now, and let no one else change it meanwhile."""
    return await session.get(Message, message_id, with_for_update=True, populate_existing=True)


async def name_effect(session: Session, message_id: UUID, effect_key: str) -> None:
    """Store on which effect a message of ours hangs."""
    await session.execute(update(Message).where(Message.id == message_id).values(effect_key=effect_key))
