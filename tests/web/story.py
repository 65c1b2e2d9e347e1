"""Rows that pages show, written as the database's owner, in the customers' words."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson

from server.queue import Asked
from server.queue.catalog import WebhookProcess


@dataclass
class Story:
    """One business's conversations as they unfold."""

    connection: asyncpg.Connection
    business_id: int
    channel_id: UUID = field(default_factory=uuid4)

    async def open_channel(self) -> None:
        await self.connection.execute(
            "INSERT INTO channel (id, business_id, kind, base_url, secret_encrypted, token_digest)"
            " VALUES ($1, $2, 'whatsapp_bridge', 'http://127.0.0.1:1', '-', $3)",
            self.channel_id,
            self.business_id,
            hashlib.sha256(self.channel_id.bytes).hexdigest(),
        )

    async def meet(self, name: str | None, phone: str | None = None) -> UUID:
        """A customer appears; returns their conversation."""
        contact_id = await self.connection.fetchval(
            "INSERT INTO contact (business_id, name) VALUES ($1, $2) RETURNING id", self.business_id, name
        )
        if phone:
            await self.connection.execute(
                "INSERT INTO contact_identity (business_id, contact_id, kind, value)"
                " VALUES ($1, $2, 'phone', $3)",
                self.business_id,
                contact_id,
                phone,
            )
        conversation_id: UUID = await self.connection.fetchval(
            "INSERT INTO conversation (business_id, channel_id, contact_id, address)"
            " VALUES ($1, $2, $3, $4) RETURNING id",
            self.business_id,
            self.channel_id,
            contact_id,
            str(contact_id),
        )
        return conversation_id

    async def arrives(self, provider_id: str) -> UUID:
        """An event is stored with its job; returns the event."""
        event_id = uuid4()
        await self.connection.execute(
            "INSERT INTO inbox_event (id, business_id, channel_id, event_id, lane, payload)"
            " VALUES ($1, $2, $3, $4, 'lane', '{}')",
            event_id,
            self.business_id,
            self.channel_id,
            provider_id,
        )
        await self.connection.execute(
            "INSERT INTO job (id, business_id, kind, payload, queue, urgency, dispatch_no, dispatched_at)"
            " VALUES ($1, $2, 'webhook_process_job', $3, 'default', 0, 1, now() + interval '3 ms')",
            self.job_of(event_id),
            self.business_id,
            orjson.dumps({"event_id": str(event_id)}).decode(),
        )
        return event_id

    async def starts(self, event_id: UUID) -> None:
        """A worker takes the event's job."""
        job_id = self.job_of(event_id)
        await self.connection.execute(
            "UPDATE job SET state = 'running', attempts = 1, token = 1,"
            " lease_until = now() + interval '1 min' WHERE id = $1",
            job_id,
        )
        await self.connection.execute(
            "INSERT INTO job_attempt (job_id, token, business_id, worker, started_at)"
            " SELECT id, 1, business_id, 'w', created_at + interval '21 ms' FROM job WHERE id = $1",
            job_id,
        )

    async def job_is(self, event_id: UUID, state: str) -> None:
        """The event's job comes to an end, or back to the start of the line."""
        await self.connection.execute(
            "UPDATE job SET state = $2, lease_until = NULL WHERE id = $1", self.job_of(event_id), state
        )

    async def writes(self, conversation_id: UUID, text: str | None, **more: Any) -> UUID:
        """The customer's message is kept; `event_id` links the event it came with."""
        return await self.says(conversation_id, text, author="customer", status="received", **more)

    async def says(self, conversation_id: UUID, text: str | None, **more: Any) -> UUID:
        """A message enters the conversation."""
        author = more.get("author", "assistant")
        row = await self.connection.fetchrow(
            "INSERT INTO message (business_id, conversation_id, channel_id, direction, author, kind, text,"
            " provider_id, answers_message_id, effect_key, sources, status, status_reason, created_at,"
            " status_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, now() + $14,"
            " now() + $14) RETURNING id, created_at",
            self.business_id,
            conversation_id,
            self.channel_id,
            "in" if author == "customer" else "out",
            author,
            more.get("kind", "text"),
            text,
            more.get("provider_id"),
            more.get("answers"),
            more.get("effect_key"),
            orjson.dumps([{"title": title} for title in more.get("sources", ())]).decode(),
            more.get("status", "delivered"),
            more.get("reason"),
            more.get("later", timedelta()),
        )
        await self.connection.execute(
            "UPDATE conversation SET last_message_at = $2 WHERE id = $1", conversation_id, row["created_at"]
        )
        if event_id := more.get("event_id"):
            await self.connection.execute(
                "UPDATE inbox_event SET message_id = $2, state = 'done' WHERE id = $1", event_id, row["id"]
            )
        message_id: UUID = row["id"]
        return message_id

    async def effect(self, key: str, state: str) -> None:
        """The answer's effect stands like this."""
        await self.connection.execute(
            "INSERT INTO effect (key, business_id, provider, state, sending_at, settled_at)"
            " VALUES ($1, $2, 'whatsapp_bridge', $3, now(), now())"
            " ON CONFLICT (key) DO UPDATE SET state = excluded.state",
            key,
            self.business_id,
            state,
        )

    async def status(self, message_id: UUID, status: str, reason: str | None = None) -> None:
        """A receipt comes in."""
        await self.connection.execute(
            "UPDATE message SET status = $2, status_reason = $3, status_at = now() WHERE id = $1",
            message_id,
            status,
            reason,
        )

    def job_of(self, event_id: UUID) -> str:
        """The id the ledger gives the event's job."""
        return str(Asked(WebhookProcess(event_id), self.business_id).row()["id"])
