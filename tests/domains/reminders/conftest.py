"""Dana's reminders on the real engine; time passes by making everything that much older."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from server.domains import reminders
from server.jobs import load_handlers
from server.jobs.runtime import Ended, perform
from server.queue import Run
from server.queue.catalog import RemindersTick
from server.queue.ledger import Ledger, Outcome
from tests.engine import BUSINESS, NOWHERE, Engine, open_engine

NOA = 9
SLOT = datetime(2026, 1, 1, tzinfo=UTC)
CHANNEL = """
INSERT INTO channel (business_id, kind, base_url, secret_encrypted, token_digest)
VALUES ($1, 'whatsapp_bridge', 'http://bridge.test/', 'none', 'none') RETURNING id
"""
CONTACT = "INSERT INTO contact (business_id, name) VALUES ($1, 'Maya') RETURNING id"
CONVERSATION = """
INSERT INTO conversation (business_id, channel_id, contact_id, address)
VALUES ($1, $2, $3, 'maya') RETURNING id
"""
AGES = {
    "reminder": ("due_at", "due_set_at", "raise_at", "slot", "ended_at"),
    "reminder_push_log": ("due_at",),
    "reminder_series": ("stopped_at",),
}


@dataclass
class Agenda:
    """What a test sets, how it lets time pass, and what it looks at."""

    engine: Engine
    ticks: int = 0
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def now(self) -> datetime:
        """Return the database's time."""
        now: datetime = await self.look("SELECT now()")
        return now

    async def talk(self, business_id: int = BUSINESS) -> UUID:
        """Open a conversation."""
        channel_id = await self.look(CHANNEL, business_id)
        conversation_id: UUID = await self.look(
            CONVERSATION, business_id, channel_id, await self.look(CONTACT, business_id)
        )
        return conversation_id

    async def set(self, in_minutes: float, **about: Any) -> UUID:
        """Set a reminder as the api does."""
        due_at = await self.now() + timedelta(minutes=in_minutes)
        async with self.engine.api.transaction(BUSINESS) as session:
            return await reminders.set_reminder(
                session, BUSINESS, text="Call Maya back", due_at=due_at, by="Dana", **about
            )

    async def passes(self, minutes: float) -> None:
        """Let time pass."""
        for table, columns in AGES.items():
            older = ", ".join(f"{column} = {column} - $1::interval" for column in columns)
            await self.look(f"UPDATE {table} SET {older}", timedelta(minutes=minutes))

    async def tick(self) -> None:
        """Run one tick's job."""
        self.ticks += 1
        # It decides by the database's time, whatever its slot.
        ended = await self.run(RemindersTick(SLOT + timedelta(minutes=self.ticks)))
        assert ended.ending.outcome is Outcome.DONE, ended.ending.reason

    async def run(self, payload: object, *, business_id: int | None = None) -> Ended:
        """Run a job once, as a worker does."""
        from server.queue import enqueue

        scope = () if business_id is None else (business_id,)
        async with self.engine.worker.transaction(*scope) as session:
            job_id = await enqueue(session, payload, business_id=business_id)
        return await self.again(job_id)

    async def again(self, job_id: str) -> Ended:
        """Run a job, though it has ended, as nothing but a fault would."""
        await self.look(
            "UPDATE job SET state = 'ready', due_at = now(), lease_until = NULL WHERE id = $1", job_id
        )
        ledger = Ledger(self.engine.worker, lease_s=20)
        [claim] = await ledger.claim([job_id], worker="test")
        run = Run(claim, database=self.engine.worker, outside=NOWHERE, lease_s=20)
        # A task of its own, as in a worker: what is bound to its log lines ends with it.
        return await asyncio.create_task(perform(run, ledger))

    async def look(self, query: str, *arguments: Any) -> Any:
        async with self.one_at_a_time:
            return await self.engine.look.fetchval(query, *arguments)

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        async with self.one_at_a_time:
            return [tuple(row) for row in await self.engine.look.fetch(query, *arguments)]

    async def logged(self) -> list[tuple[int, str]]:
        """Return what the log says, in the order in which things were due."""
        return await self.rows(
            "SELECT offset_min, state FROM reminder_push_log ORDER BY due_at, offset_min DESC"
        )

    async def is_called(self, conversation_id: UUID) -> bool:
        """Tell whether a conversation asks for a person."""
        return bool(await self.look("SELECT needs_person FROM conversation WHERE id = $1", conversation_id))


@pytest.fixture
async def agenda(clean_database: str, redis_url: str) -> AsyncIterator[Agenda]:
    load_handlers()
    async with open_engine(clean_database, redis_url) as engine:
        yield Agenda(engine)
