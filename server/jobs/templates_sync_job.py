"""List the templates of a channel."""

from __future__ import annotations

from server.domains import messaging
from server.queue import Run, handles
from server.queue.catalog import TemplatesSync


@handles(TemplatesSync)
async def templates_sync_job(run: Run, payload: TemplatesSync) -> None:
    """Keep what its provider lists; raises ProviderDownError when that should be tried again."""
    await messaging.sync_templates(run, payload.channel_id)
