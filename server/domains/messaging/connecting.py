"""Connecting a business's accounts at messaging providers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert as upsert

from server.db import Session, text
from server.db.tenancy import credential_digest
from server.domains.messaging.models import Channel
from server.errors import BadInputError
from server.ports import ChannelAccount
from server.secrets import Cipher

BRIDGE = "whatsapp_bridge"
CLOUD = "whatsapp_cloud"
MOST_CHANNELS = 100
ACCOUNT_COLUMNS = ", ".join(
    f"channel.{name}"
    for name in ("id", "business_id", "base_url", "secret_encrypted", "tenant", "account_id", "settings")
)
ACCOUNT = f"SELECT {ACCOUNT_COLUMNS} FROM channel WHERE id = :id ORDER BY id LIMIT 1"  # noqa: S608 -- of constants


@dataclass(frozen=True)
class CloudNumber:
    """A WhatsApp number at Meta, as its owner enters it; an empty secret keeps the one that is there."""

    phone_number_id: str
    waba_id: str
    access_token: str = field(repr=False)
    app_secret: str = field(repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)


async def connect_bridge(
    session: Session, business_id: int, *, base_url: str, secret: str, tenant: str, cipher: Cipher
) -> UUID:
    """Connect a business's WhatsApp bridge, or follow its new address and secret; return the channel's id."""
    told = {
        "base_url": base_url.rstrip("/"),
        "tenant": tenant,
        "secret_encrypted": cipher.encrypt(secret),
        "token_digest": credential_digest(secret),
        "connection": "unknown",
        "connection_reason": None,
        "connection_at": None,
    }
    return await _connect(session, business_id, uuid4(), BRIDGE, "", told)


async def connect_cloud(session: Session, business_id: int, *, number: CloudNumber, cipher: Cipher) -> UUID:
    """Connect a WhatsApp number at Meta, or follow its new secrets; return the channel's id.

    Raises BadInputError `secret_missing` for a new number without its access token or app secret.
    """
    known = await _find(session, business_id, CLOUD, number.phone_number_id)
    if known is None and not (number.access_token and number.app_secret):
        raise BadInputError("secret_missing", "A new number needs its access token and its app secret.")
    channel_id = known or uuid4()
    told: dict[str, object] = {
        "account_id": number.phone_number_id,
        "settings": dict(number.settings) | {"waba_id": number.waba_id},
        "token_digest": credential_digest(cipher.key_of(str(channel_id))),
    }
    if number.access_token:
        told["secret_encrypted"] = cipher.encrypt(number.access_token)
    if number.app_secret:
        told["signing_secret_encrypted"] = cipher.encrypt(number.app_secret)
    if known is None:
        told |= {"base_url": "", "verify_token_encrypted": cipher.encrypt(secrets.token_urlsafe(24))}
    return await _connect(session, business_id, channel_id, CLOUD, number.phone_number_id, told)


async def list_channels(session: Session, *, limit: int = MOST_CHANNELS) -> list[Channel]:
    """Return the channels of the transaction's business, the oldest first; their secrets are sealed."""
    return list(await session.scalars(select(Channel).order_by(Channel.created_at, Channel.id).limit(limit)))


async def find_account(
    session: Session, channel_id: UUID, open_secret: Callable[[str], str]
) -> ChannelAccount:
    """Return a channel's account with its secret in the clear; never to be stored or logged."""
    return account_of((await session.execute(text(ACCOUNT), {"id": channel_id})).one(), open_secret)


def account_of(row: Row[Any], open_secret: Callable[[str], str]) -> ChannelAccount:
    """Return the account that a row with `ACCOUNT_COLUMNS` holds."""
    return ChannelAccount(
        channel_id=row.id,
        business_id=row.business_id,
        base_url=row.base_url,
        secret=open_secret(row.secret_encrypted),
        tenant=row.tenant,
        account_id=row.account_id,
        settings=row.settings,
    )


async def _find(session: Session, business_id: int, kind: str, name: str) -> UUID | None:
    found: UUID | None = await session.scalar(
        select(Channel.id)
        .where(Channel.business_id == business_id, Channel.kind == kind, Channel.name == name)
        .order_by(Channel.id)
        .limit(1)
    )
    return found


async def _connect(
    session: Session, business_id: int, channel_id: UUID, kind: str, name: str, told: Mapping[str, object]
) -> UUID:
    known = dict.fromkeys(("base_url", "secret_encrypted"), "") | dict(told)
    connected: UUID = (
        await session.execute(
            upsert(Channel)
            .values(id=channel_id, business_id=business_id, kind=kind, name=name, **known)
            .on_conflict_do_update(
                index_elements=[Channel.business_id, Channel.kind, Channel.name], set_=dict(told)
            )
            .returning(Channel.id)
        )
    ).scalar_one()
    return connected
