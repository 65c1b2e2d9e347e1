"""Close WhatsApp sessions that went quiet, each with a summary."""

from __future__ import annotations

from server.domains import messaging
from server.queue import Run, handles
from server.queue.catalog import WhatsappSessionsCleanup

SESSIONS_A_RUN = 50


@handles(WhatsappSessionsCleanup)
async def whatsapp_sessions_cleanup_job(run: Run, _payload: WhatsappSessionsCleanup) -> None:
    """Close at most fifty; the next slot takes the rest."""
    await messaging.close_stale_sessions(run, limit=SESSIONS_A_RUN)
