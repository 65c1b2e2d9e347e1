"""Call a person to an answer that stayed in doubt."""

from __future__ import annotations

from server.domains import messaging
from server.queue import Run, handles
from server.queue.catalog import ReplyDoubted


@handles(ReplyDoubted)
async def reply_doubted_job(run: Run, payload: ReplyDoubted) -> None:
    """Mark the conversation, if nobody found out meanwhile what became of the answer."""
    await messaging.call_if_in_doubt(run, payload.key, payload.tries)
