"""People who write to a business under several names, and what is looked at afterwards."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from server.db import Database
from server.domains import contacts
from server.domains.messaging import queries
from server.ports import IdentityKind, Sender

BUSINESS = 6
PHONE, LID = "+972501234567", "82399031480511"
# What must hold whatever happened.
WRONGS = (
    "SELECT 'two on a channel' FROM conversation GROUP BY contact_id, channel_id HAVING count(*) > 1",
    "SELECT 'a message apart' FROM message WHERE conversation_id NOT IN (SELECT id FROM conversation)",
    "SELECT 'a name of nobody' FROM contact_identity WHERE contact_id NOT IN (SELECT id FROM contact)",
    """SELECT 'two open sessions' FROM conversation_session WHERE closed_at IS NULL
       GROUP BY conversation_id HAVING count(*) > 1""",
    """SELECT 'a merged contact that lives' FROM contact_merge JOIN contact ON contact.id = loser_id
       WHERE undone_at IS NULL AND NOT EXISTS (
           SELECT FROM contact_merge AS later WHERE later.loser_id = contact_merge.loser_id
           AND later.made_at > contact_merge.made_at)""",
    """SELECT 'an undone merge without its contact' FROM contact_merge WHERE undone_at IS NOT NULL
       AND NOT EXISTS (SELECT FROM contact WHERE contact.id = live_contact(loser_id))""",
)


def sender(
    phone: str | None = None,
    lid: str | None = None,
    bsid: str | None = None,
    username: str | None = None,
    name: str | None = None,
) -> Sender:
    told = {
        IdentityKind.PHONE: phone,
        IdentityKind.LID: lid,
        IdentityKind.BUSINESS_SCOPED_ID: bsid,
        IdentityKind.USERNAME: username,
    }
    return Sender("somewhere", {kind: value for kind, value in told.items() if value}, name)


@dataclass
class Town:
    """A business with two channels, whose customers write."""

    database: Database
    look: asyncpg.Connection
    channels: list[UUID] = field(default_factory=list)
    written: int = 0

    async def settle(self) -> Town:
        for number in range(2):
            self.channels.append(uuid4())
            await self.look.execute(
                "INSERT INTO channel (id, business_id, kind, name, base_url, secret_encrypted, token_digest)"
                " VALUES ($1, 6, 'whatsapp_bridge', $2, '', '-', repeat($2, 64))",
                self.channels[-1],
                str(number),
            )
        return self

    async def write(self, who: Sender, words: str, *, channel: int = 0) -> UUID:
        """Take a message as the inbox does; returns whose it is."""
        async with self.database.transaction(BUSINESS) as session:
            contact_id = await contacts.recognise(session, BUSINESS, who)
            await contacts.touch_lead(session, contact_id, "whatsapp")
            conversation_id = await queries.open_conversation(
                session,
                BUSINESS,
                channel_id=self.channels[channel],
                contact_id=contact_id,
                address=who.address,
                keeps_address=False,
                at=None,
                in_session=True,
            )
            await queries.insert_message(session, self._said(conversation_id, words, channel, "in"))
        self.written += 1
        return contact_id

    async def reply(self, conversation_id: UUID, words: str, *, channel: int = 0) -> None:
        async with self.database.transaction(BUSINESS) as session:
            await queries.lock_conversation(session, conversation_id)
            await queries.insert_reply(session, self._said(conversation_id, words, channel, "out"))
        self.written += 1

    def _said(self, conversation_id: UUID, words: str, channel: int, direction: str) -> queries.Said:
        return queries.Said(
            business_id=BUSINESS,
            conversation_id=conversation_id,
            channel_id=self.channels[channel],
            direction=direction,
            author="customer" if direction == "in" else "assistant",
            kind="text",
            text=words,
            status="received" if direction == "in" else "sent",
            provider_id=f"{words}-{uuid4()}",
        )

    async def merges(self) -> list[UUID]:
        rows = await self.look_at("SELECT id FROM contact_merge WHERE undone_at IS NULL ORDER BY made_at")
        return [row["id"] for row in rows]

    async def part(self, merge_id: UUID | None = None) -> None:
        merge_id = merge_id or (await self.merges())[-1]
        async with self.database.transaction(BUSINESS) as session:
            await contacts.part(session, merge_id, by="member test")

    async def any_deed(self, chance: random.Random, words: str) -> None:
        """Write under one or two of six names on one of two channels, answer somewhere, or undo a merge."""
        pick = chance.random()
        if pick < 0.2 and (merges := await self.merges()):
            await self.part(chance.choice(merges))
        elif pick < 0.4 and (rows := await self.look_at("SELECT id, channel_id FROM conversation")):
            row = chance.choice(rows)
            await self.reply(row["id"], words, channel=self.channels.index(row["channel_id"]))
        else:
            names: dict[str, Any] = {}
            for _ in range(chance.choice([1, 2, 2])):
                kind = chance.choice(["phone", "lid", "bsid"])
                number = chance.randint(0, 1)
                names[kind] = f"+97250123456{number}" if kind == "phone" else f"{kind}{number}"
            await self.write(sender(**names), words, channel=chance.randint(0, 1))

    async def look_at(self, query: str) -> list[asyncpg.Record]:
        async with self.database.driver_transaction(BUSINESS) as connection:
            return list(await connection.fetch(query))

    async def wrongs(self) -> list[str]:
        return [row[0] for query in WRONGS for row in await self.look.fetch(query)]

    async def count(self, table: str) -> int:
        return int(await self.look.fetchval(f"SELECT count(*) FROM {table}"))

    async def said(self, contact_id: UUID) -> list[str]:
        rows = await self.look.fetch(
            "SELECT text FROM message JOIN conversation ON conversation.id = conversation_id"
            " WHERE contact_id = $1 ORDER BY position",
            contact_id,
        )
        return [row["text"] for row in rows]

    async def identities(self, contact_id: UUID) -> set[tuple[str, str]]:
        rows = await self.look.fetch(
            "SELECT kind, value FROM contact_identity WHERE contact_id = $1", contact_id
        )
        return {tuple(row) for row in rows}

    async def names(self) -> dict[UUID, str | None]:
        return {row["id"]: row["name"] for row in await self.look.fetch("SELECT id, name FROM contact")}

    async def stage(self, contact_id: UUID) -> str:
        return str(
            await self.look.fetchval(
                "SELECT name FROM lead JOIN lead_stage ON lead_stage.id = stage_id WHERE contact_id = $1",
                contact_id,
            )
        )

    async def may_market(self, contact_id: UUID) -> bool:
        async with self.database.transaction(BUSINESS) as session:
            return await contacts.may_market(session, contact_id)
