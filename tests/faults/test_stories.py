"""F34: whole conversations by a bridge and Meta, told in any order, again and again, to many processes."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest

from simulator.cloud_envelopes import user_id_of
from simulator.jsontypes import Json
from tests.engine import eventually
from tests.faults.numbers import Number, connect_number, envelope_of, post, sends_at_meta
from tests.faults.stories import Deed, Kept, Line, Name, Story, Told, draw
from tests.processes import Installation

SEED = int(os.environ.get("PROSAAS_STORIES_SEED", "0")) or random.randrange(1, 10**6)
CUSTOMERS = 12
APIS, WORKERS = 4, 3
# The first conversations of all come at once; a bridge, or Meta, keeps so many connections open.
AT_ONCE = 16
OPEN = """
SELECT count(*) FROM job WHERE state IN ('ready', 'running') AND urgency = 0
  AND lane SIMILAR TO '%(' || $1 || ')%'
"""
MESSAGES = """
SELECT message.id, message.provider_id, message.author, message.kind, coalesce(message.text, '') AS text,
       message.details ? 'edited' AS is_edited, message.details ? 'deleted' AS is_deleted
FROM message JOIN conversation ON conversation.id = message.conversation_id
WHERE conversation.address SIMILAR TO '(' || $1 || ')%' ORDER BY message.position LIMIT 1000
"""
CONVERSATIONS = """
SELECT count(DISTINCT conversation.id) || ' ' || count(conversation_session.id) FROM conversation
JOIN conversation_session ON conversation_session.conversation_id = conversation.id
WHERE conversation.address SIMILAR TO '(' || $1 || ')%'
"""


@pytest.mark.slow
@pytest.mark.fault("F34")
async def test_any_order_of_a_conversations_webhooks_stores_the_same_with_one_reply_a_burst(stopped):
    await stopped.start_all("simulator", "scheduler", *["api"] * APIS, *["worker"] * WORKERS)
    stories = draw(SEED, CUSTOMERS, prefix="B1")
    senders = Senders(stopped, await connect_number(stopped))

    await asyncio.gather(*(tell_story(senders, story) for story in stories))
    await stopped.until_quiet(within_s=60)

    sends = await stopped.sends() + await sends_at_meta(stopped)
    answers = Counter(address(send) for send in sends)
    for story in stories:
        seen = f"seed {SEED}, {story.phone}"
        rows = await messages_of(stopped, story)
        own = [row for row in rows if row["author"] != "assistant"]
        assert (seen, stored(own)) == (seen, story.kept())
        acts = [story.act_of()[row["provider_id"]] for row in own]
        assert (seen, acts) == (seen, sorted(acts))
        assert (seen, answers[story.phone] + answers[story.hidden_id]) == (seen, story.replies)
        assert (seen, len(rows) - len(own)) == (seen, story.replies)
        assert (seen, await stopped.value(CONVERSATIONS, names(story))) == (seen, "1 1")


@dataclass
class Senders:
    """A bridge and Meta, which post to whichever api it is."""

    house: Installation
    number: Number
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def tell(self, story: Story, told: Told, *, api: int) -> None:
        """Post an event, again and again until it was taken, as both do."""
        at = f"http://127.0.0.1:{self.house.ports['api'][api]}"

        async def taken() -> bool:
            try:
                async with self.places:
                    answer = await self._post(story, told, at)
            except httpx.TransportError:
                return False
            assert answer.status_code in {200, 503}, answer.text
            return answer.status_code == httpx.codes.OK

        await eventually(taken, within_s=30, what=f"an event of {story.phone} that is taken, seed {SEED}")

    async def _post(self, story: Story, told: Told, at: str) -> httpx.Response:
        match story.line:
            case Line.META:
                return await post(self.house, self.number, envelope_of(self.number, story.phone, told), at=at)
            case Line.BRIDGE:
                return await self.house.post(webhook(story, told), path=f"{at}/webhook/whatsapp/incoming")


async def tell_story(senders: Senders, story: Story) -> None:
    """Tell each act of a conversation in any order and wherever it lands; the next once it is dealt with."""
    chance = random.Random(f"{SEED} {story.phone}")
    for act in story.acts:
        tellings = [(one, chance.randrange(APIS)) for one in act.tellings(chance)]
        await asyncio.gather(*(senders.tell(story, one, api=api) for one, api in tellings))
        await eventually(
            lambda: is_dealt_with(senders.house, story),
            within_s=60,
            what=f"an end of {story.phone}, seed {SEED}",
        )


async def is_dealt_with(house: Installation, story: Story) -> bool:
    # Meta names a chat by an id that stays when a customer hides the phone.
    lane = user_id_of(story.phone) if story.line is Line.META else names(story)
    return not await house.value(OPEN, lane)


async def messages_of(house: Installation, story: Story) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(house.addresses.database_url)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(MESSAGES, names(story))
    finally:
        await connection.close()
    return rows


def names(story: Story) -> str:
    """Whatever a customer's chat may be called, as a pattern."""
    return f"{story.phone}|{story.hidden_id}"


def stored(rows: list[asyncpg.Record]) -> dict[str, Kept]:
    return {
        row["provider_id"]: Kept(
            row["author"], row["kind"], row["text"], is_edited=row["is_edited"], is_deleted=row["is_deleted"]
        )
        for row in rows
    }


def address(send: dict[str, Any]) -> str:
    return str(send["request"]["body"]["to"]).partition("@")[0]


def named(story: Story, told: Told) -> dict[str, str]:
    """Return the names that a bridge tells of the customer, Baileys' way."""
    phone, hidden = f"{story.phone}@s.whatsapp.net", f"{story.hidden_id}@lid"
    match told.name:
        case Name.PHONE:
            return {"remoteJid": phone}
        case Name.HIDDEN:
            return {"remoteJid": hidden, "addressingMode": "lid"}
        case Name.PHONE_AND_HIDDEN:
            return {"remoteJid": phone, "remoteJidAlt": hidden}
        case Name.HIDDEN_AND_PHONE:
            return {"remoteJid": hidden, "remoteJidAlt": phone, "addressingMode": "lid"}


def webhook(story: Story, told: Told) -> Json:
    """Return an event as a bridge tells it."""
    jid = f"{story.phone}@s.whatsapp.net"
    target = {"remoteJid": jid, "fromMe": False, "id": told.target}
    key: dict[str, Any] = {**named(story, told), "fromMe": told.deed is Deed.OWNER_TYPES, "id": told.id}
    match told.deed:
        case Deed.WRITES | Deed.OWNER_TYPES:
            content: dict[str, Any] = {"conversation": told.text}
        case Deed.REACTS:
            content = {"reactionMessage": {"key": target, "text": told.text}}
        case Deed.EDITS:
            edited = {"key": target, "type": 14, "editedMessage": {"conversation": told.text}}
            content = {"editedMessage": {"message": {"protocolMessage": edited}}}
        case Deed.DELETES:
            content = {"protocolMessage": {"key": target, "type": "REVOKE"}}
        case Deed.GROUP:
            key |= {"remoteJid": "120363041234567890@g.us", "participant": jid}
            content = {"conversation": told.text}
    message = {"key": key, "messageTimestamp": int(told.at.timestamp()), "message": content}
    return {"tenantId": "business_6", "payload": {"type": "notify", "messages": [message]}}
