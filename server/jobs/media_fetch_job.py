"""Fetch the file of a message."""

from __future__ import annotations

from server.db import Session
from server.domains import messaging
from server.queue import GivenUp, Run, gives_up, handles
from server.queue.catalog import MediaFetch


@handles(MediaFetch)
async def media_fetch_job(run: Run, payload: MediaFetch) -> None:
    """Bring it into the storage; raises ProviderDownError when that should be tried again."""
    await messaging.fetch_file(run, payload.media_id)


@gives_up(MediaFetch)
async def media_given_up(_run: Run, session: Session, payload: MediaFetch, _given_up: GivenUp) -> None:
    """Let people see that it did not come."""
    await messaging.give_up_file(session, payload.media_id)
