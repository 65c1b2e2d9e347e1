"""F34: whole conversations, told in any order, again and again, to four api and three worker processes."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from typing import Any

import asyncpg
import httpx
import pytest

from tests.engine import eventually
from tests.faults.stories import Deed, Kept, Story, Told, draw
from tests.processes import SECRET, Installation

SEED = int(os.environ.get("PROSAAS_STORIES_SEED", "0")) or random.randrange(1, 10**6)
CUSTOMERS = 12
APIS, WORKERS = 4, 3
# The first conversations of all come at once; a bridge keeps so many connections open.
AT_ONCE = 16
OPEN = """
SELECT count(*) FROM job WHERE state IN ('ready', 'running') AND urgency = 0 AND lane LIKE '%' || $1 || '%'
"""
MESSAGES = """
SELECT message.id, message.provider_id, message.author, message.kind, coalesce(message.text, '') AS text,
       message.details ? 'edited' AS is_edited, message.details ? 'deleted' AS is_deleted
FROM message JOIN conversation ON conversation.id = message.conversation_id
WHERE conversation.address LIKE $1 || '%' ORDER BY message.position LIMIT 1000
"""
CONVERSATIONS = """
SELECT count(DISTINCT conversation.id) || ' ' || count(conversation_session.id) FROM conversation
JOIN conversation_session ON conversation_session.conversation_id = conversation.id
WHERE conversation.address LIKE $1 || '%'
"""


@pytest.mark.slow
@pytest.mark.fault("F34")
async def test_any_order_of_a_conversations_webhooks_stores_the_same_with_one_reply_a_burst(stopped):
    await stopped.start_all("simulator", "scheduler", *["api"] * APIS, *["worker"] * WORKERS)
    stories = draw(SEED, CUSTOMERS, prefix="B1")
    places = asyncio.Semaphore(AT_ONCE)

    await asyncio.gather(*(tell_story(stopped, story, places) for story in stories))
    await stopped.until_quiet(within_s=60)

    answers = Counter(address(send) for send in await stopped.sends())
    for story in stories:
        seen = f"seed {SEED}, {story.phone}"
        rows = await messages_of(stopped, story)
        own = [row for row in rows if row["author"] != "assistant"]
        assert (seen, stored(own)) == (seen, story.kept())
        acts = [story.act_of()[row["provider_id"]] for row in own]
        assert (seen, acts) == (seen, sorted(acts))
        assert (seen, answers[story.phone]) == (seen, story.replies)
        assert (seen, len(rows) - len(own)) == (seen, story.replies)
        assert (seen, await stopped.value(CONVERSATIONS, story.phone)) == (seen, "1 1")


async def tell_story(house: Installation, story: Story, places: asyncio.Semaphore) -> None:
    """Tell each act of a conversation in any order and wherever it lands; the next once it is dealt with."""
    chance = random.Random(f"{SEED} {story.phone}")
    for act in story.acts:
        await asyncio.gather(
            *(
                tell(house, chance.randrange(APIS), webhook(story, one), places)
                for one in act.tellings(chance)
            )
        )
        await eventually(
            lambda: is_dealt_with(house, story), within_s=60, what=f"an end of {story.phone}, seed {SEED}"
        )


async def tell(house: Installation, api: int, body: dict[str, Any], places: asyncio.Semaphore) -> None:
    async with places:
        answer = await house.http.post(
            f"http://127.0.0.1:{house.ports['api'][api]}/webhook/whatsapp/incoming",
            content=json.dumps(body).encode(),
            headers={"X-Internal-Secret": SECRET, "Content-Type": "application/json"},
        )
    assert answer.status_code == httpx.codes.OK, answer.text


async def is_dealt_with(house: Installation, story: Story) -> bool:
    return not await house.value(OPEN, story.phone)


async def messages_of(house: Installation, story: Story) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(house.addresses.database_url)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(MESSAGES, story.phone)
    finally:
        await connection.close()
    return rows


def stored(rows: list[asyncpg.Record]) -> dict[str, Kept]:
    return {
        row["provider_id"]: Kept(
            row["author"], row["kind"], row["text"], is_edited=row["is_edited"], is_deleted=row["is_deleted"]
        )
        for row in rows
    }


def address(send: dict[str, Any]) -> str:
    return str(send["request"]["body"]["to"]).partition("@")[0]


def webhook(story: Story, told: Told) -> dict[str, Any]:
    """Return an event as a bridge tells it."""
    jid = f"{story.phone}@s.whatsapp.net"
    target = {"remoteJid": jid, "fromMe": False, "id": told.target}
    key: dict[str, Any] = {"remoteJid": jid, "fromMe": told.deed is Deed.OWNER_TYPES, "id": told.id}
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
