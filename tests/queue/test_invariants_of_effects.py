"""What the invariants say of effects that nobody concludes, and of messages that do not tell the truth."""

from __future__ import annotations

import pytest

from server.queue.invariants import violations
from tests.engine import BUSINESS

KEY = "reply:1"
PLANNED = "I3 planned or being sent by a job that ended badly, and nobody calls it off"
UNTRUE = "I4 a message that does not say what became of its sending"


@pytest.fixture
async def reply(engine):
    """Write down a reply, its effect and its job as a test wants them, all of an hour ago."""

    async def write(*, effect, message, job="failed"):
        await engine.look.execute(
            "INSERT INTO job (id, business_id, kind, queue, urgency, state, finished_at, token)"
            " VALUES ('chore_job-6-1', $1, 'chore_job', 'default', 0, $2,"
            "         CASE $2 WHEN 'running' THEN NULL ELSE now() - interval '1 hour' END, 1)",
            *(BUSINESS, job),
        )
        await engine.look.execute(
            "INSERT INTO job_attempt (job_id, token, worker, outcome) VALUES ('chore_job-6-1', 1, 'w', $1)",
            None if job == "running" else job,
        )
        await engine.look.execute(
            "INSERT INTO effect (key, business_id, provider, job_id, token, state, sending_at, provider_ref)"
            " VALUES ($1, $2, 'whatsapp_bridge', 'chore_job-6-1', 1, $3, now() - interval '1 hour', 'ref')",
            *(KEY, BUSINESS, effect),
        )
        channel_id, conversation_id = await conversation(engine)
        await engine.look.execute(
            "INSERT INTO message (business_id, conversation_id, channel_id, direction, author, kind, status,"
            " effect_key) VALUES ($1, $2, $3, 'out', 'assistant', 'text', $4, $5)",
            *(BUSINESS, conversation_id, channel_id, message, KEY),
        )

    return write


async def conversation(engine):
    channel_id = await engine.look.fetchval(
        "INSERT INTO channel (business_id, kind, base_url, secret_encrypted, token_digest)"
        " VALUES ($1, 'whatsapp_bridge', 'http://127.0.0.1:1', '-', '-') RETURNING id",
        BUSINESS,
    )
    contact_id = await engine.look.fetchval(
        "INSERT INTO contact (business_id) VALUES ($1) RETURNING id", BUSINESS
    )
    conversation_id = await engine.look.fetchval(
        "INSERT INTO conversation (business_id, channel_id, contact_id, address) VALUES ($1, $2, $3, 'x')"
        " RETURNING id",
        *(BUSINESS, channel_id, contact_id),
    )
    return channel_id, conversation_id


@pytest.mark.parametrize("job", ["failed", "quarantined", "expired", "cancelled"])
async def test_what_a_given_up_job_left_planned_is_told(clean_database, reply, job):
    await reply(effect="planned", message="queued", job=job)

    assert await violations(clean_database) == [f"{PLANNED}: {KEY}"]


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        *(("confirmed", "unknown"), ("sent", "queued"), ("not_sent", "unknown"), ("abandoned", "queued")),
        *(("unknown", "queued"), ("failed", "unknown"), ("abandoned", "sent")),
    ],
)
async def test_a_message_that_says_otherwise_than_its_effect_is_told(clean_database, reply, effect, message):
    await reply(effect=effect, message=message, job="done")

    assert await violations(clean_database) == [f"{UNTRUE}: {KEY}"]


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        *(("confirmed", "delivered"), ("sent", "sent"), ("sent", "failed"), ("not_sent", "failed")),
        *(("abandoned", "failed"), ("unknown", "unknown"), ("failed", "failed")),
    ],
)
async def test_what_agrees_is_left_in_peace(clean_database, reply, effect, message):
    await reply(effect=effect, message=message)

    assert await violations(clean_database) == []


@pytest.mark.parametrize(
    ("kind", "payload"),
    [("job_given_up_job", '{"job_id": "chore_job-6-1"}'), ("effect_settled_job", '{"key": "reply:1"}')],
)
async def test_what_is_still_to_be_followed_up_is_not_told_yet(clean_database, engine, reply, kind, payload):
    await reply(effect="planned", message="queued")
    await engine.look.execute(
        "INSERT INTO job (id, business_id, kind, payload, queue, urgency)"
        " VALUES ('later-6-1', $1, $2, $3, 'default', 1)",
        *(BUSINESS, kind, payload),
    )

    assert await violations(clean_database) == []
