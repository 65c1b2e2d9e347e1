"""The endpoints that the webhook bench compares with: each does less than ours, in the usual way.

bare                checks the secret, parses, answers; stores nothing
one_insert          FastAPI and asyncpg: one insert a request, then one pipelined RQ-shaped job
insert_and_enqueue  the same insert, then stock `Queue.enqueue`
enqueue_only        stock `Queue.enqueue` alone: nothing is stored, a loss of Redis loses messages
"""

from __future__ import annotations

import hmac
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import asyncpg
import orjson
import redis.asyncio
from fastapi import FastAPI, Header, HTTPException, Request
from rq import Queue
from rq.serializers import JSONSerializer
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

PATH = "/webhook/whatsapp/incoming"
SECRET = os.environ.get("BENCH_SECRET", "")
REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1")
TABLE = "CREATE TABLE IF NOT EXISTS peer_event (id text PRIMARY KEY, business text, payload jsonb)"
INSERT = "INSERT INTO peer_event VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"

queue = Queue("peer", connection=redis.Redis.from_url(REDIS_URL), serializer=JSONSerializer)
Secret = Annotated[str, Header()]


def require_secret(told: str) -> None:
    """Compare in constant time, as ours does."""
    if not hmac.compare_digest(told.encode(), SECRET.encode()):
        raise HTTPException(401)


async def bare_endpoint(request: Request) -> Response:
    """Check, parse, answer."""
    require_secret(request.headers.get("x-internal-secret", ""))
    body = orjson.loads(await request.body())
    return Response(orjson.dumps({"ok": True, "stored": len(body["payload"]["messages"])}))


bare = Starlette(routes=[Route(PATH, bare_endpoint, methods=["POST"])])


@asynccontextmanager
async def with_stores(app: FastAPI) -> AsyncIterator[None]:
    """Open PostgreSQL and Redis."""
    async with asyncpg.create_pool(os.environ["BENCH_DATABASE_URL"], min_size=10, max_size=10) as pool:
        await pool.execute(TABLE)
        app.state.pool = pool
        app.state.redis = redis.asyncio.Redis.from_url(REDIS_URL)
        yield


async def store(request: Request) -> str:
    """Insert one event in its own transaction; return its id."""
    raw = await request.body()
    body = orjson.loads(raw)
    event_id: str = body["payload"]["messages"][0]["key"]["id"]
    await request.app.state.pool.execute(INSERT, event_id, body["tenantId"], raw.decode())
    return event_id


one_insert = FastAPI(lifespan=with_stores)


@one_insert.post(PATH)
async def insert_one(request: Request, x_internal_secret: Secret = "") -> dict[str, bool]:
    """Store one event and push one RQ-shaped job, a round trip each."""
    require_secret(x_internal_secret)
    event_id = await store(request)
    async with request.app.state.redis.pipeline(transaction=False) as pipe:
        pipe.hset(f"rq:job:{event_id}", mapping={"data": event_id, "status": "queued", "origin": "peer"})
        pipe.rpush("rq:queue:peer", event_id)
        await pipe.execute()
    return {"ok": True}


insert_and_enqueue = FastAPI(lifespan=with_stores)


@insert_and_enqueue.post(PATH)
async def insert_then_enqueue(request: Request, x_internal_secret: Secret = "") -> dict[str, bool]:
    """Store one event, then enqueue its id in a thread, since RQ's client blocks."""
    require_secret(x_internal_secret)
    event_id = await store(request)
    await run_in_threadpool(queue.enqueue, "peer.handle", event_id)
    return {"ok": True}


enqueue_only = FastAPI()


@enqueue_only.post(PATH)
def enqueue_body(body: dict[str, object], x_internal_secret: Secret = "") -> dict[str, bool]:
    """Enqueue the body as a stock RQ job; FastAPI runs a plain function in its thread pool."""
    require_secret(x_internal_secret)
    queue.enqueue("peer.handle", body)
    return {"ok": True}
