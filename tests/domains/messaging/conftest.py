"""A locksmith's WhatsApp: the real engine and reader, and a provider that answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from server.db.tenancy import credential_digest
from server.domains import assistant, messaging
from server.domains.messaging import intake
from server.jobs import (
    effect_settled_job,
    job_given_up_job,
    message_send_job,
    reply_doubted_job,
    webhook_process_job,
)
from server.jobs.runtime import perform
from server.ports import (
    Accepted,
    ChannelAccount,
    ChatTurn,
    Completion,
    LanguageModel,
    Outgoing,
    Outside,
    WebhookPoster,
)
from server.providers.whatsapp_bridge import WhatsappBridge
from server.queue import Run
from server.queue.ledger import Ending, Ledger, Outcome
from server.secrets import Cipher
from simulator import envelopes
from tests.engine import BUSINESS, Engine, open_engine

__all__ = [
    "effect_settled_job",
    "job_given_up_job",
    "message_send_job",
    "reply_doubted_job",
    "webhook_process_job",
]

SECRET = "the bridge's own secret"
CIPHER = Cipher("k" * 32)
TENANT = "business_6"
MAYA = envelopes.Identity(phone="972501234567", lid=None, name="Maya")
MAYA_BY_LID = replace(MAYA, lid="82399031480511")
PRICE_QUESTION = "How much is a door opening?"
PRICE = "Opening a locked door costs 350 NIS."


@dataclass
class Phone(WhatsappBridge):
    """Reads as the bridge does; what it sends is kept, and answered with whatever waits in `answers`."""

    sent: list[tuple[str, str, str]] = field(default_factory=list)
    answers: list[BaseException | str] = field(default_factory=list)
    accounts: list[ChannelAccount] = field(default_factory=list)
    before_answer: Callable[[], Awaitable[Any]] | None = None

    async def send(self, account: ChannelAccount, outgoing: Outgoing, *, to: str, key: str) -> Accepted:
        self.accounts.append(account)
        self.sent.append((to, getattr(outgoing, "text", ""), key))
        if self.before_answer is not None:
            await self.before_answer()
        answer = self.answers.pop(0) if self.answers else f"OURS{len(self.sent)}"
        if isinstance(answer, BaseException):
            raise answer
        return Accepted(answer)

    @property
    def texts(self) -> list[str]:
        return [text for _, text, _ in self.sent]


@dataclass
class Model:
    """A language model that does `meanwhile` before it answers."""

    meanwhile: Callable[[], Awaitable[Any]]
    asked: list[list[ChatTurn]] = field(default_factory=list)
    offered: list[list[str]] = field(default_factory=list)

    async def complete(self, turns, *, tools=()):
        self.asked.append(list(turns))
        self.offered.append([tool.name for tool in tools])
        await self.meanwhile()
        return Completion(f"Answer {len(self.asked)}.", "test", 10, 2)


@dataclass
class Shop:
    """What a test writes as a customer, and what it looks at."""

    engine: Engine
    phone: Phone
    channel_id: UUID
    model: LanguageModel | None = None
    count: int = 0
    webhooks: WebhookPoster | None = None

    @property
    def outside(self) -> Outside:
        return Outside(
            channels={"whatsapp_bridge": self.phone},
            model=self.model,
            open_secret=CIPHER.decrypt,
            webhooks=self.webhooks,
        )

    async def deliver(self, *bodies: dict[str, Any], lane: str | None = None) -> list[UUID]:
        """Post webhooks as the bridge does; returns the inbox's ids of their events."""
        ids: list[UUID] = []
        for body in bodies:
            events = [replace(one, lane=lane or one.lane) for one in self.phone.split(body)]
            delivery = messaging.Delivery(credential_digest(SECRET), BUSINESS, events)
            await messaging.Receiver(self.engine.api).receive(delivery)
            ids += [
                await self.look("SELECT id FROM inbox_event WHERE event_id = $1", event.event_id)
                for event in events
            ]
        return ids

    def says(
        self, text: str, *, who=MAYA, message_id: str | None = None, ago=timedelta(), **content: Any
    ) -> dict[str, Any]:
        """Build what the bridge posts when a customer writes, or wrote some time `ago`."""
        self.count += 1
        written = envelopes.Written(
            message_id or f"IN{self.count}", datetime.now(UTC) - ago, content or {"conversation": text}
        )
        return envelopes.customer_messages(TENANT, who, [written])

    def echo(self, text: str, message_id: str, *, who=MAYA) -> dict[str, Any]:
        """Build what the bridge posts when the business's own number wrote."""
        content = {"conversation": text}
        return envelopes.own_echo(
            TENANT, who.jid, message_id=message_id, at=datetime.now(UTC), content=content
        )

    def receipt(self, message_id: str, status: int) -> dict[str, Any]:
        return envelopes.receipt(TENANT, MAYA.jid, message_id=message_id, status=status)

    async def settle(self) -> None:
        """Run every job that is due, those of different chats at once, until none is left."""
        ledger = Ledger(self.engine.worker, lease_s=20)
        while due := await self.rows("SELECT id FROM job WHERE state = 'ready' AND due_at <= now()"):
            claims = await ledger.claim([job_id for (job_id,) in due], worker="test")
            runs = [Run(one, database=self.engine.worker, outside=self.outside, lease_s=20) for one in claims]
            await asyncio.gather(*(perform(run, ledger) for run in runs))

    async def claim(self, event_id: UUID) -> Run:
        """Claim an event's job as a worker of its own would."""
        job_id = await self.look("SELECT id FROM job WHERE payload ->> 'event_id' = $1", str(event_id))
        [claim] = await Ledger(self.engine.worker, lease_s=20).claim([job_id], worker="test")
        return Run(claim, database=self.engine.worker, outside=self.outside, lease_s=20)

    async def end(self, run: Run, outcome: Outcome = Outcome.DONE) -> None:
        if not run.completed:
            await Ledger(self.engine.worker, lease_s=20).end(run.claim, Ending(outcome))

    async def handle(self, event_id: UUID) -> None:
        """Run one event's job to its end."""
        run = await self.claim(event_id)
        await messaging.process_event(run, event_id)
        await self.end(run)

    async def again(self, event_id: UUID) -> Run:
        """Claim a job that has ended once more, as nothing but a fault would."""
        await self.engine.look.execute(
            "UPDATE job SET state = 'ready', due_at = now(), lease_until = NULL"
            " WHERE payload ->> 'event_id' = $1",
            str(event_id),
        )
        return await self.claim(event_id)

    async def look(self, query: str, *arguments: Any) -> Any:
        return await self.engine.look.fetchval(query, *arguments)

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.engine.look.fetch(query, *arguments)]

    async def replies(self) -> list[tuple[Any, ...]]:
        return await self.rows(
            "SELECT text, status FROM message WHERE author = 'assistant' ORDER BY position"
        )

    async def events(self) -> list[tuple[Any, ...]]:
        return await self.rows("SELECT state, reason FROM inbox_event ORDER BY received_at, event_id")


@asynccontextmanager
async def open_shop(database_url: str, redis_url: str) -> AsyncIterator[Shop]:
    async with open_engine(database_url, redis_url) as engine, httpx.AsyncClient() as http:
        async with engine.api.transaction(BUSINESS) as session:
            channel_id = await messaging.connect_bridge(
                session, BUSINESS, base_url="http://bridge.test/", secret=SECRET, tenant=TENANT, cipher=CIPHER
            )
            await assistant.add_knowledge(
                session, BUSINESS, title="Door opening price", body=PRICE, language="en"
            )
        phone = Phone()
        phone._http = http
        yield Shop(engine, phone, channel_id)


@pytest.fixture
async def shop(clean_database, redis_url):
    async with open_shop(clean_database, redis_url) as opened:
        yield opened


@pytest.fixture(autouse=True)
def let_no_line_wait(monkeypatch):
    """Answer at once: only the tests of quick lines wait for more of them."""
    monkeypatch.setattr(intake, "QUIET", timedelta())
