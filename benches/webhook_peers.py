"""The endpoints that the webhook bench compares with: each does less than ours, in the usual way.

bare        checks the secret, parses, answers; stores nothing
one_insert  FastAPI and asyncpg, one insert a request, in its own transaction
rq_enqueue  FastAPI and stock RQ, one `Queue.enqueue` a request, no storage
"""

from __future__ import annotations

import hmac
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import asyncpg
import orjson
import redis
from fastapi import FastAPI, Header, HTTPException, Request
from rq import Queue
from rq.serializers import JSONSerializer
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

SECRET = os.environ.get("BENCH_SECRET", "")
TABLE = "CREATE TABLE IF NOT EXISTS peer_event (id text PRIMARY KEY, business text, payload jsonb)"
INSERT = "INSERT INTO peer_event VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"


def require_secret(told: str) -> None:
    """Compare as ours does, in constant time."""
    if not hmac.compare_digest(told.encode(), SECRET.encode()):
        raise HTTPException(401)


async def bare_endpoint(request: Request) -> Response:
    """Check, parse, answer."""
    require_secret(request.headers.get("x-internal-secret", ""))
    body = orjson.loads(await request.body())
    return Response(orjson.dumps({"ok": True, "stored": len(body["payload"]["messages"])}))


bare = Starlette(routes=[Route("/webhook/whatsapp/incoming", bare_endpoint, methods=["POST"])])


@asynccontextmanager
async def with_pool(app: FastAPI) -> AsyncIterator[None]:
    """Open the pool that one_insert uses."""
    async with asyncpg.create_pool(os.environ["BENCH_DATABASE_URL"], min_size=10, max_size=10) as pool:
        await pool.execute(TABLE)
        app.state.pool = pool
        yield


one_insert = FastAPI(lifespan=with_pool)


@one_insert.post("/webhook/whatsapp/incoming")
async def insert_one(request: Request, x_internal_secret: Annotated[str, Header()] = "") -> dict[str, bool]:
    """Store one event."""
    require_secret(x_internal_secret)
    raw = await request.body()
    body = orjson.loads(raw)
    event_id = body["payload"]["messages"][0]["key"]["id"]
    await request.app.state.pool.execute(INSERT, event_id, body["tenantId"], raw.decode())
    return {"ok": True}


rq_enqueue = FastAPI()
queue = Queue(
    "peer",
    connection=redis.Redis.from_url(os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1")),
    serializer=JSONSerializer,
)


@rq_enqueue.post("/webhook/whatsapp/incoming")
def enqueue_one(body: dict[str, object], x_internal_secret: Annotated[str, Header()] = "") -> dict[str, bool]:
    """Enqueue the body as a stock RQ job; FastAPI runs a plain function in its thread pool."""
    require_secret(x_internal_secret)
    queue.enqueue("peer.handle", body)
    return {"ok": True}
