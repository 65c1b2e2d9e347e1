"""Dana's business tells a receiver what happens: the real engine, and a receiver that answers as told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import pytest

from server.domains import integrations
from server.jobs import webhook_deliver_job
from server.jobs.runtime import Ended, perform
from server.ports import Outside, Posted
from server.queue import Run
from server.queue.ledger import Ledger
from server.secrets import Cipher
from tests.engine import BUSINESS, Engine, open_engine

__all__ = ["webhook_deliver_job"]

CIPHER = Cipher("k" * 32)
URL = "https://n8n.example/webhook/prosaas"


@dataclass
class Posts:
    """Answers with whatever waits in `answers`, and with 200 after that."""

    answers: list[Posted | BaseException] = field(default_factory=list)
    got: list[tuple[str, bytes, Mapping[str, str]]] = field(default_factory=list)
    is_full: bool = False

    def has_room(self, _name: str) -> bool:
        return not self.is_full

    async def require_public(self, url: str) -> None:
        """Every address of these stories leads outside."""

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str], name: str) -> Posted:
        assert name
        self.got.append((url, body, headers))
        answer = self.answers.pop(0) if self.answers else Posted(200, "ok")
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, _, headers in self.got]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(body) for _, body, _ in self.got]


@dataclass
class Desk:
    """What Dana does with her endpoints, and what comes of it."""

    engine: Engine
    posts: Posts = field(default_factory=Posts)

    @property
    def outside(self) -> Outside:
        return Outside(channels={}, open_secret=CIPHER.decrypt, webhooks=self.posts)

    async def endpoint(
        self, *events: str, url: str = URL, business_id: int = BUSINESS, secret: str | None = None
    ) -> tuple[UUID, str]:
        async with self.engine.api.transaction(business_id) as session:
            return await integrations.add_endpoint(
                session,
                business_id,
                url=url,
                events=events or ("lead.created",),
                cipher=CIPHER,
                secret=secret,
            )

    async def emit(
        self, key: str, data: Any = None, *, event: str = "lead.created", subject: str = ""
    ) -> None:
        async with self.engine.worker.transaction(BUSINESS) as session:
            await integrations.emit(
                session, BUSINESS, event, data or {"lead_id": key}, key=key, subject=subject
            )

    async def run(self) -> list[Ended]:
        """Run once each job that is due; what fails waits for its time."""
        ledger = Ledger(self.engine.worker, lease_s=20)
        due = await self.rows(
            "SELECT id FROM job WHERE state = 'ready' AND due_at <= now() AND kind = 'webhook_deliver_job'"
        )
        claims = await ledger.claim([job_id for (job_id,) in due], worker="test")
        runs = [Run(one, database=self.engine.worker, outside=self.outside, lease_s=20) for one in claims]
        return list(await asyncio.gather(*(perform(run, ledger) for run in runs)))

    async def hasten(self) -> None:
        """Let what waits be due now."""
        await self.engine.look.execute("UPDATE job SET due_at = now() WHERE state = 'ready'")

    async def run_out(self, most: int = 20) -> None:
        """Run every try until none is left."""
        for _ in range(most):
            await self.hasten()
            if not await self.run():
                return
        raise AssertionError(f"still trying after {most} rounds")

    async def look(self, query: str, *arguments: Any) -> Any:
        return await self.engine.look.fetchval(query, *arguments)

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.engine.look.fetch(query, *arguments)]

    async def deliveries(self) -> list[tuple[Any, ...]]:
        return await self.rows("SELECT state, reason FROM webhook_delivery ORDER BY created_at, id")

    async def attempts(self) -> list[tuple[Any, ...]]:
        return await self.rows("SELECT number, status, error FROM webhook_attempt ORDER BY at, number")

    async def effects(self) -> list[str]:
        return [state for (state,) in await self.rows("SELECT state FROM effect ORDER BY planned_at, key")]


def signed_with(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Verify as a receiver does that follows standardwebhooks.com, written apart from our own code."""
    key = base64.b64decode(secret.split("_", 1)[1])
    told = headers["webhook-id"].encode() + b"." + headers["webhook-timestamp"].encode() + b"." + body
    expected = "v1," + base64.b64encode(hmac.digest(key, told, hashlib.sha256)).decode()
    return any(hmac.compare_digest(one, expected) for one in headers["webhook-signature"].split())


@pytest.fixture
async def desk(clean_database, redis_url):
    async with open_engine(clean_database, redis_url) as engine:
        yield Desk(engine)
