"""Work of one business as its jobs page finds it, and what people post from there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import orjson

from tests.web.conftest import form_token
from tests.web.story import Story

JOB = """
INSERT INTO job (id, business_id, kind, payload, queue, urgency, state, reason, attempts, started_at,
                 finished_at)
VALUES ($1, $2, $3, $4, 'default', 0, $5, $6, $7, now(),
        CASE WHEN $5 NOT IN ('ready', 'running') THEN now() END)
"""
EFFECT = """
INSERT INTO effect (key, business_id, provider, job_id, state, reason, sending_at)
VALUES ($1, $2, 'whatsapp_bridge', $3, $4, 'the connection broke', now())
"""
PROGRESS = """
UPDATE job SET progress = $2, progress_share = $3, progress_at = now() - $4 * interval '1 s' WHERE id = $1
"""
PAUSE = """
INSERT INTO job_pause (sort, name, reason, paused_by) VALUES ($1, $2, $3, 'root (prosaas jobs)')
"""


async def put_job(story: Story, job_id: str, state: str, reason: str | None = None, **more: Any) -> None:
    """A job stands like this; `event_id` is what it is about."""
    event_id: UUID | None = more.get("event_id")
    payload = {"event_id": str(event_id)} if event_id else {}
    await story.connection.execute(
        JOB,
        *(job_id, story.business_id, more.get("kind", "webhook_process_job"), orjson.dumps(payload).decode()),
        *(state, reason, more.get("attempts", 1)),
    )


async def put_effect(story: Story, key: str, state: str, job_id: str | None = None) -> None:
    """An effect stands like this."""
    await story.connection.execute(EFFECT, key, story.business_id, job_id, state)


async def put_progress(story: Story, job_id: str, *, share: int, age_s: float = 0, **counts: int) -> None:
    """A run told how far it is, so long ago."""
    await story.connection.execute(PROGRESS, job_id, orjson.dumps(counts).decode(), share, age_s)


async def put_pause(story: Story, sort: str, name: str, reason: str = "deploy") -> None:
    """An operator paused something."""
    await story.connection.execute(PAUSE, sort, name, reason)


async def state_of(story: Story, job_id: str) -> str:
    """Return a job's state."""
    return str(await story.connection.fetchval("SELECT state FROM job WHERE id = $1", job_id))


async def effect_of(story: Story, key: str) -> str:
    """Return an effect's state."""
    return str(await story.connection.fetchval("SELECT state FROM effect WHERE key = $1", key))


async def post(browser: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """Post a form from a page of ours."""
    token = form_token(await browser.get("/inbox"))
    return await browser.post(path, data={"csrf": token} | fields)
