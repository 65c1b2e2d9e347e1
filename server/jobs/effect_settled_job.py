"""Show what became of a sending that was settled after its run."""

from __future__ import annotations

from server.domains import messaging
from server.queue import Run, handles
from server.queue.catalog import EffectSettled


@handles(EffectSettled)
async def effect_settled_job(run: Run, payload: EffectSettled) -> None:
    """Move the message that hangs on the effect, if one does."""
    await messaging.show_settled(run, payload.key)
