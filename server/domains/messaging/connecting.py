"""Connecting a business's accounts at messaging providers."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from server.db import Session
from server.db.tenancy import credential_digest
from server.domains.messaging.models import Channel
from server.ports import ChannelAccount
from server.secrets import Cipher

BRIDGE = "whatsapp_bridge"


async def connect_bridge(
    session: Session, business_id: int, *, base_url: str, secret: str, tenant: str, cipher: Cipher
) -> UUID:
    """Connect a business's WhatsApp bridge, or follow its new address and secret; return the channel's id."""
    told = {
        "base_url": base_url.rstrip("/"),
        "tenant": tenant,
        "secret_encrypted": cipher.encrypt(secret),
        "token_digest": credential_digest(secret),
    }
    channel_id: UUID = (
        await session.execute(
            upsert(Channel)
            .values(business_id=business_id, kind=BRIDGE, name="", **told)
            .on_conflict_do_update(
                index_elements=[Channel.business_id, Channel.kind, Channel.name], set_=told
            )
            .returning(Channel.id)
        )
    ).scalar_one()
    return channel_id


async def find_account(
    session: Session, channel_id: UUID, open_secret: Callable[[str], str]
) -> ChannelAccount:
    """Return a channel's account with its secret in the clear; never to be stored or logged."""
    channel = (
        await session.scalars(select(Channel).where(Channel.id == channel_id).order_by(Channel.id).limit(1))
    ).one()
    return ChannelAccount(
        channel_id=channel.id,
        business_id=channel.business_id,
        base_url=channel.base_url,
        secret=open_secret(channel.secret_encrypted),
        tenant=channel.tenant,
    )
