"""The engine on real PostgreSQL and Redis, for tests: three database roles, one worker in this loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
from redis.asyncio import Redis

from server.db.session import Database
from server.ports import Outside
from server.queue.connection import connect_redis
from server.queue.dispatch import Dispatcher
from server.queue.kinds import HANDLERS, KIND_OF, KINDS, Handler, Urgency, job
from server.queue.ledger import Ledger
from server.queue.sweeper import Sweeper
from server.worker.board import Board
from server.worker.process import Place, WorkerProcess

BUSINESS = 6
NOWHERE = Outside(channels={})


@dataclass(frozen=True)
class Engine:
    """What a test asks, sweeps and looks with; `look` sees everything."""

    api: Database
    worker: Database
    scheduler: Database
    redis: Redis
    dispatcher: Dispatcher
    sweeper: Sweeper
    look: asyncpg.Connection

    async def ask(self, payload: object, **how: Any) -> str:
        """Ask for a job as the api does."""
        from server.queue import enqueue

        async with self.api.transaction(BUSINESS) as session:
            job_id = await enqueue(session, payload, business_id=BUSINESS, **how)
        await self.dispatcher.flushed()
        return job_id

    async def state(self, job_id: str) -> str:
        """Return a job's state."""
        return str(await self.look.fetchval("SELECT state FROM job WHERE id = $1", job_id))

    async def until_state(self, job_id: str, *states: str, within_s: float = 10) -> str:
        """Wait until a job is in one of these states."""

        async def reached() -> bool:
            return await self.state(job_id) in states

        await eventually(reached, within_s=within_s)
        return await self.state(job_id)

    async def until_dispatched_and(self, job_id: str, *states: str, within_s: float = 10) -> str:
        """Wait for a state as `until_state` does, sweeping meanwhile as a scheduler does."""

        async def reached() -> bool:
            await self.sweeper.sweep()
            return await self.state(job_id) in states

        await eventually(reached, within_s=within_s)
        return await self.state(job_id)

    @asynccontextmanager
    async def working(
        self, *, outside: Outside = NOWHERE, lease_s: float = 5, concurrency: int = 20, grace_s: float = 1
    ) -> AsyncIterator[WorkerProcess]:
        """Run a worker in this loop while the block runs, then drain it."""
        process = WorkerProcess(
            database=self.worker,
            redis=self.redis,
            dispatcher=self.dispatcher,
            outside=outside,
            queues=["default", "low", "maintenance"],
            ledger=Ledger(self.worker, lease_s=lease_s),
            place=Place(f"test-{uuid4().hex[:6]}", Board(concurrency)),
        )
        task = asyncio.create_task(process.run(drain_grace_s=grace_s))
        try:
            yield process
        finally:
            process.stop()
            await asyncio.wait_for(task, 15)


class Queue:
    """What waits to be done, for tests of those who ask: `queue.asked == [...]`, `await queue.drain()`."""

    def __init__(self, engine: Engine, database_url: str) -> None:
        self._engine = engine
        self._database_url = database_url

    @property
    def asked(self) -> list[object]:
        """Return the payloads of all jobs that have not ended, in the order in which they were asked for."""
        with ThreadPoolExecutor(1) as beside:
            rows = beside.submit(lambda: asyncio.run(self._waiting())).result(timeout=10)
        return [KINDS[row["kind"]].decode(row["payload"], row["version"]) for row in rows]

    async def _waiting(self) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self._database_url, timeout=5)
        try:
            return list(
                await connection.fetch(
                    "SELECT kind, version, payload::text AS payload FROM job"
                    " WHERE state IN ('ready', 'running') ORDER BY seq"
                )
            )
        finally:
            await connection.close()

    async def drain(self, *, outside: Outside = NOWHERE, within_s: float = 20) -> None:
        """Do everything that is due, and what that asks for in turn, with a real worker."""

        async def empty() -> bool:
            await self._engine.sweeper.sweep()
            return not await self._engine.look.fetchval(
                "SELECT count(*) FROM job WHERE state = 'running' OR (state = 'ready' AND due_at <= now())"
            )

        async with self._engine.working(outside=outside):
            await eventually(empty, within_s=within_s, what="an empty queue")


@asynccontextmanager
async def open_engine(database_url: str, redis_url: str) -> AsyncIterator[Engine]:
    """Connect everything, with business 6 in place."""
    look = await asyncpg.connect(database_url)
    await look.execute(
        "INSERT INTO business (id, name) VALUES (6, 'Dana'), (9, 'Noa') ON CONFLICT DO NOTHING"
    )
    api, worker, scheduler = (
        Database(database_url, role=f"prosaas_{role}", pool_size=8) for role in ("api", "worker", "scheduler")
    )
    redis = connect_redis(redis_url)
    dispatcher = Dispatcher(api, redis)
    api.announce = worker.announce = dispatcher.announce
    try:
        yield Engine(api, worker, scheduler, redis, dispatcher, Sweeper(scheduler, redis, dispatcher), look)
    finally:
        await dispatcher.flushed()
        await redis.aclose()
        for database in (api, worker, scheduler):
            await database.aclose()
        await look.close()


@contextmanager
def job_kind(payload_type: type, handler: Handler, **how: Any) -> Iterator[None]:
    """Put a kind and its handler in the catalogue while the block runs."""
    defaults: dict[str, Any] = {"queue": "default", "urgency": Urgency.REPLY, "timeout_s": 20}
    job(**(defaults | how))(payload_type)
    name = KIND_OF[payload_type].name
    HANDLERS[name] = handler
    try:
        yield
    finally:
        del KINDS[name], KIND_OF[payload_type], HANDLERS[name]


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], *, within_s: float = 10, what: str = "the condition"
) -> None:
    """Poll until a condition holds; fail after the deadline."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        held = condition()
        if inspect.isawaitable(held):
            held = await held
        if held:
            return
        if loop.time() > deadline:
            raise AssertionError(f"{what} did not hold within {within_s} s")
        await asyncio.sleep(0.02)
