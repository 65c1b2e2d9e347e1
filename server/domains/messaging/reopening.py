"""Channels that were held or closed: how their owner opens them again, and who is told of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from server import clock
from server.db import Session
from server.domains.messaging.models import Channel
from server.queue import Account, Changed, Run, enqueue, holds
from server.queue.catalog import ChannelReconnected
from server.queue.holds import Hold


async def ask_to_reopen(session: Session, business_id: int, channel_id: UUID) -> None:
    """Ask that a channel with new credentials is used at once, and that what waited for it goes out."""
    await enqueue(session, ChannelReconnected(channel_id, clock.utc_now()), business_id=business_id)


async def reopen_channel(run: Run, channel_id: UUID) -> None:
    """Open a channel's account, and make what waits in its chats due; a second time changes nothing."""
    async with run.completing() as session:
        channel = await session.get(Channel, channel_id)
        if channel is None:
            return
        await holds.open_account(session, Account(channel.kind, str(channel.id)))
        await holds.wake_lanes(session, str(channel.id))
        session.outbox.append(Changed(channel.business_id, "channel", channel.id))


async def list_holds(session: Session, channels: Sequence[Channel]) -> dict[UUID, Hold]:
    """Return why these channels' accounts are held, of those that are."""
    names: dict[str, list[str]] = defaultdict(list)
    for channel in channels:
        names[channel.kind].append(str(channel.id))
    found: dict[UUID, Hold] = {}
    for kind, of_kind in names.items():
        held = await holds.read_holds(session, kind, of_kind)
        found |= {UUID(name): hold for name, hold in held.items()}
    return found


async def find_hold(session: Session, channel_id: UUID) -> Hold | None:
    """Return why a channel's account is held, None where it is not."""
    query = select(Channel).where(Channel.id == channel_id).order_by(Channel.id).limit(1)
    channels = list(await session.scalars(query))
    return (await list_holds(session, channels)).get(channel_id)
