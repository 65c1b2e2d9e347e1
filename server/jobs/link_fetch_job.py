"""Fetch the file of a message that is to be sent."""

from __future__ import annotations

from server.db import Session
from server.domains import messaging
from server.queue import GivenUp, Run, gives_up, handles
from server.queue.catalog import LinkFetch


@handles(LinkFetch)
async def link_fetch_job(run: Run, payload: LinkFetch) -> None:
    """Bring it into the storage and let its message go; raises ProviderDownError to be tried again."""
    await messaging.fetch_link(run, payload.media_id)


@gives_up(LinkFetch)
async def link_given_up(_run: Run, session: Session, payload: LinkFetch, _given_up: GivenUp) -> None:
    """Show its writer that the message was not sent, as its file did not come."""
    await messaging.give_up_link(session, payload.media_id)
