"""Use a channel's new credentials at once."""

from __future__ import annotations

from server.domains import messaging
from server.queue import Run, handles
from server.queue.catalog import ChannelReconnected


@handles(ChannelReconnected)
async def channel_reconnected_job(run: Run, payload: ChannelReconnected) -> None:
    """Open the account, and let go what waited for it."""
    await messaging.reopen_channel(run, payload.channel_id)
