"""Showing a customer that their message was read and is being answered, beside the work on the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from server.db import Session, text
from server.domains.messaging.connecting import ACCOUNT_COLUMNS, account_of
from server.domains.messaging.intake import Question
from server.errors import ProviderError
from server.ports import ChannelAccount, MessageChannel, Outside
from server.tasks import end

# A mark that comes late says something that is no longer so.
TIMEOUT_S = 5.0
# Not where a person decides on the answer: nobody knows when, or whether, it goes out.
READ = f"""
SELECT message.provider_id, {ACCOUNT_COLUMNS} FROM message
JOIN conversation ON conversation.id = message.conversation_id
JOIN channel ON channel.id = message.channel_id
JOIN business ON business.id = message.business_id
LEFT JOIN business_assistant AS wanted ON wanted.business_id = business.id
WHERE message.id = :message_id AND message.provider_id IS NOT NULL AND business.shows_reading
  AND NOT coalesce(conversation.needs_approval, wanted.needs_approval, false)
ORDER BY message.id LIMIT 1
"""  # noqa: S608 -- composed of constants
SHOWS = "SELECT shows_reading FROM business WHERE id = :business_id ORDER BY id LIMIT 1"
SHOW = "UPDATE business SET shows_reading = :shows WHERE id = :business_id"


@dataclass(frozen=True)
class Mark:
    """The message that is being answered, as its provider calls it, and where it came from."""

    channel: MessageChannel
    account: ChannelAccount
    to: str
    message_id: str


async def read_mark(session: Session, outside: Outside, question: Question) -> Mark | None:
    """Return what is to be shown; None where the business does not want it, or no model writes.

    Without a model an answer is there within a moment, and the mark would come after it.
    """
    if outside.model is None:
        return None
    row = (await session.execute(text(READ), {"message_id": question.message_id})).first()
    if row is None:
        return None
    account = account_of(row, outside.open_secret)
    return Mark(outside.channels[question.channel_kind], account, question.address, row.provider_id)


async def shows_reading(session: Session, business_id: int) -> bool:
    """Tell whether a business lets its customers see that they are read and being answered."""
    found: bool = (await session.execute(text(SHOWS), {"business_id": business_id})).scalar_one()
    return found


async def choose_reading(session: Session, business_id: int, *, shows: bool) -> None:
    """Keep whether it does."""
    await session.execute(text(SHOW), {"business_id": business_id, "shows": shows})


@asynccontextmanager
async def shown(mark: Mark | None) -> AsyncIterator[None]:
    """Show a mark while the block runs, which never waits for it nor fails with it."""
    if mark is None:
        yield
        return
    showing = asyncio.create_task(_show(mark))
    try:
        yield
    finally:
        await end(showing)


async def _show(mark: Mark) -> None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await mark.channel.show_reading(mark.account, to=mark.to, message_id=mark.message_id)
    except (ProviderError, TimeoutError):
        # The answer says more than the mark would have. What is wrong with the account, sending it tells.
        return
