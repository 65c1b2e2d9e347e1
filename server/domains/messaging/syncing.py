"""The templates of a channel as its provider has them: asked for, kept, and archived once they are gone."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import JSONB

from server import clock
from server.db import Session, text
from server.domains.messaging.connecting import find_account
from server.domains.messaging.models import Channel
from server.domains.messaging.reopening import find_hold
from server.queue import Changed, Run, enqueue
from server.queue.catalog import TemplatesSync

CHANNELS_AT_ONCE = 500
# What a provider says in one minute is asked for once, a little after the minute's end.
CHANGED = """
SELECT other.id, date_trunc('minute', now()) + interval '65 seconds' AS at, now() AS now
FROM channel AS told JOIN channel AS other ON other.business_id = told.business_id AND other.kind = told.kind
 AND (other.id = told.id OR other.settings ->> 'waba_id' = told.settings ->> 'waba_id')
WHERE told.id = :channel_id ORDER BY other.id LIMIT 100
"""
KEEP = """
INSERT INTO message_template
    (business_id, channel_id, name, language, category, status, reason, body, variables, names, header,
     buttons)
SELECT :business_id, :channel_id, name, language, category, status, reason, body, variables, names, header,
       buttons
FROM jsonb_to_recordset(:told) AS told (name text, language text, category text, status text, reason text,
                                        body text, variables bigint, names jsonb, header jsonb, buttons jsonb)
ORDER BY name, language LIMIT 10000
ON CONFLICT (channel_id, name, language) WHERE channel_id IS NOT NULL DO UPDATE SET
    category = excluded.category, status = excluded.status, reason = excluded.reason, body = excluded.body,
    variables = excluded.variables, names = excluded.names, header = excluded.header,
    buttons = excluded.buttons, synced_at = now()
"""
# All that this transaction did not keep.
ARCHIVE = """
UPDATE message_template SET status = 'ARCHIVED', reason = NULL
WHERE channel_id = :channel_id AND synced_at < now() AND status <> 'ARCHIVED'
"""
# A channel that was looked at within the hour, for its provider said something or its owner asked, is fresh.
STALE = """
SELECT id, business_id FROM channel WHERE kind = 'whatsapp_cloud'
  AND (cast(:after AS uuid) IS NULL OR id > :after)
  AND NOT EXISTS (SELECT FROM message_template
                  WHERE channel_id = channel.id AND synced_at > now() - interval '1 hour')
ORDER BY id LIMIT :limit
"""


async def ask_for_templates(session: Session, business_id: int, channel_id: UUID) -> None:
    """Ask that a channel's templates are listed anew, soon."""
    payload = TemplatesSync(channel_id, clock.utc_now())
    await enqueue(session, payload, business_id=business_id, lane=_lane(channel_id))


async def ask_for_changed_templates(session: Session, business_id: int, channel_id: UUID) -> None:
    """Ask for the templates of an account of which a channel reports a change, once for all of a minute's."""
    for row in await session.execute(text(CHANGED), {"channel_id": channel_id}):
        payload, due_in = TemplatesSync(row.id, row.at), row.at - row.now
        await enqueue(session, payload, business_id=business_id, lane=_lane(row.id), due_in=due_in)


async def ask_for_stale_templates(run: Run, slot: datetime) -> None:
    """Ask for the templates of every channel that has them; a slot asks once for each."""
    businesses, after = await run.every_business(), None
    while businesses:
        async with run.step(*businesses) as session:
            rows = (await session.execute(text(STALE), {"after": after, "limit": CHANNELS_AT_ONCE})).all()
            for row in rows:
                payload = TemplatesSync(row.id, slot)
                await enqueue(session, payload, business_id=row.business_id, lane=_lane(row.id))
        if len(rows) < CHANNELS_AT_ONCE:
            return
        after = rows[-1].id


async def sync_templates(run: Run, channel_id: UUID) -> None:
    """List a channel's templates and keep them; a second time changes nothing.

    One that its provider has no more is archived: messages and people still name it. A channel that is held
    is left alone, for connecting it again asks anew. Raises a ProviderError.
    """
    async with run.step() as session:
        channel = await session.get(Channel, channel_id)
        if channel is None or await find_hold(session, channel_id) is not None:
            return
        account = await find_account(session, channel_id, run.outside.open_secret)
    listed = await run.outside.channels[channel.kind].list_templates(account)
    told = {(one.name, one.language): asdict(one) for one in listed}
    names = {"business_id": channel.business_id, "channel_id": channel_id}
    async with run.completing() as session:
        await session.execute(
            text(KEEP).bindparams(bindparam("told", type_=JSONB)), names | {"told": list(told.values())}
        )
        await session.execute(text(ARCHIVE), {"channel_id": channel_id})
        session.outbox.append(Changed(channel.business_id, "channel", channel_id))


def _lane(channel_id: UUID) -> str:
    """Return the lane in which one list of a channel's comes after another; connecting again wakes it."""
    return f"{channel_id}:templates"
