"""The promises I1–I11, checked against the database, Redis and what the providers saw.

Every check returns the rows that break it, so an empty answer is the good one. Engine faults are
allowed sixty seconds to be put right before they count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from redis.asyncio import Redis

from server.queue.statements import LANE_IS_FREE, NOT_PAUSED

MOST_LINES = 100

_IS_FOLLOWED_UP = """EXISTS (
            SELECT FROM job AS later WHERE later.state IN ('ready', 'running')
              AND (later.kind, later.payload ->> 'job_id') = ('job_given_up_job', job.id)
               OR later.state IN ('ready', 'running')
              AND (later.kind, later.payload ->> 'key') = ('effect_settled_job', effect.key))"""

IN_DATABASE: Mapping[str, str] = {
    "I2 an event without exactly one job": """
        SELECT event.id::text AS what FROM inbox_event AS event
        LEFT JOIN job ON job.kind = 'webhook_process_job' AND job.payload ->> 'event_id' = event.id::text
        GROUP BY event.id HAVING count(job.id) <> 1""",
    # A backlog waits in the ledger for its turn: what is not dispatched counts where its queue stands still.
    "I3 unfinished, with neither a live lease, nor a dispatch, nor a due time, nor a turn to come": f"""
        SELECT id AS what FROM job
        WHERE (state = 'running' AND lease_until < now() - interval '60 s')
           OR (state = 'ready' AND greatest(due_at, dispatched_at) < now() - interval '60 s'
               AND {NOT_PAUSED} AND {LANE_IS_FREE}
               AND (dispatched_at IS NOT NULL OR NOT EXISTS (
                   SELECT FROM job AS served WHERE served.queue = job.queue
                     AND (served.state = 'running' OR served.started_at > now() - interval '60 s'))))""",  # noqa: S608 -- composed of constants
    # What is called off or settled is told by a job of its own, for which the lines above stand.
    "I3 planned or being sent by a job that ended badly, and nobody calls it off": f"""
        SELECT effect.key AS what FROM effect JOIN job ON job.id = effect.job_id
        WHERE effect.state IN ('planned', 'sending') AND job.finished_at < now() - interval '60 s'
          AND job.state IN ('failed', 'quarantined', 'expired', 'cancelled') AND NOT {_IS_FOLLOWED_UP}""",  # noqa: S608 -- composed of constants
    "I4 a message that does not say what became of its sending": f"""
        SELECT effect.key AS what FROM effect JOIN message ON message.effect_key = effect.key
        LEFT JOIN job ON job.id = effect.job_id
        WHERE greatest(effect.sending_at, effect.settled_at, job.finished_at) < now() - interval '60 s'
          AND (job.id IS NULL OR job.state NOT IN ('ready', 'running')) AND NOT {_IS_FOLLOWED_UP}
          AND message.status <> ALL (CASE effect.state
              WHEN 'unknown' THEN '{{unknown}}' WHEN 'sent' THEN '{{sent,delivered,read,failed}}'
              WHEN 'confirmed' THEN '{{sent,delivered,read,failed}}' WHEN 'planned' THEN '{{queued,failed}}'
              WHEN 'sending' THEN '{{queued,sending,unknown}}' ELSE '{{failed}}' END::text[])""",  # noqa: S608 -- the same
    "I4 sent, but no provider named it": """
        SELECT key AS what FROM effect WHERE state = 'sent' AND coalesce(provider_ref, '') = ''""",
    "I4 still sending, and no run holds it": """
        SELECT effect.key AS what FROM effect LEFT JOIN job ON job.id = effect.job_id
        WHERE effect.state = 'sending' AND effect.sending_at < now() - interval '60 s'
          AND (job.id IS NULL OR job.state <> 'running' OR job.token <> effect.token)""",
    "I5 an answer overtook an earlier one of its conversation": """
        SELECT later.id::text AS what
        FROM message AS earlier
        JOIN message AS earlier_question ON earlier_question.id = earlier.answers_message_id
        JOIN message AS later ON later.conversation_id = earlier.conversation_id
                             AND later.position < earlier.position
        JOIN message AS later_question ON later_question.id = later.answers_message_id
        WHERE later_question.position > earlier_question.position""",
    "I5 two jobs of one lane ran at once": """
        SELECT one.id AS what FROM job AS one JOIN job AS other USING (lane)
        WHERE other.seq > one.seq AND one.state = 'running' AND other.state = 'running'""",
    "I6 a slot that was neither enqueued nor skipped with a reason": """
        SELECT schedule || ' ' || slot AS what FROM schedule_slot
        WHERE (state = 'enqueued' AND job_id IS NULL) OR (state = 'skipped' AND reason IS NULL)""",
    "I6 a slot without the job that it was enqueued with": """
        SELECT schedule || ' ' || slot AS what FROM schedule_slot
        WHERE job_id IS NOT NULL AND created_at > now() - interval '1 day'
          AND NOT EXISTS (SELECT FROM job WHERE job.id = schedule_slot.job_id)""",
    "I6 a slot that its schedule has not come to": """
        SELECT schedule || ' ' || slot AS what FROM schedule_slot JOIN schedule ON name = schedule
        WHERE slot > watermark AND asked_by IS NULL""",
    "I7 progress that does not add up": """
        SELECT id AS what FROM job
        WHERE progress IS NOT NULL AND (progress ->> 'total')::bigint IS DISTINCT FROM
            (SELECT sum(value::bigint) FROM jsonb_each_text(progress) WHERE key <> 'total')""",
    "I8 an outcome written by a token that did not hold the job": """
        SELECT job.id AS what FROM job JOIN job_attempt AS attempt ON attempt.job_id = job.id
        WHERE attempt.token > job.token
           OR (attempt.outcome IN ('done', 'failed') AND attempt.token < job.token AND job.state = 'done'
               AND NOT EXISTS (SELECT FROM job_audit WHERE job_audit.job_id = job.id))""",
    "I9 a reply waits while less urgent work of others was started": """
        SELECT waiting.id AS what FROM job AS waiting
        WHERE waiting.state = 'ready' AND waiting.urgency = 0
          AND waiting.due_at < now() - interval '60 s'
          AND NOT EXISTS (SELECT FROM job AS ahead WHERE ahead.lane = waiting.lane AND ahead.seq < waiting.seq
                          AND ahead.state IN ('ready', 'running'))
          AND EXISTS (SELECT FROM job AS other WHERE other.urgency > 0
                      AND other.started_at > waiting.due_at + interval '60 s'
                      AND other.business_id <> waiting.business_id)""",
    "I10 a change of state without its attempt": """
        SELECT job.id AS what FROM job LEFT JOIN job_attempt AS attempt ON attempt.job_id = job.id
        GROUP BY job.id HAVING count(attempt.token) <> job.token""",
    "I10 an ended attempt without an outcome": """
        SELECT job.id AS what FROM job
        JOIN job_attempt AS attempt ON attempt.job_id = job.id AND attempt.token = job.token
        WHERE (job.state = 'running') <> (attempt.outcome IS NULL)""",
    "I10 a job that ended without a run and without an audit row": """
        SELECT id AS what FROM job
        WHERE token = 0 AND state NOT IN ('ready', 'running')
          AND NOT EXISTS (SELECT FROM job_audit WHERE job_audit.job_id = job.id)""",
}
# What sends to customers, with the field that carries an effect's key and the path of a send.
SENDERS = {
    "whatsapp_bridge": ("idempotencyKey", "/send"),
    "whatsapp_cloud": ("biz_opaque_callback_data", "/messages"),
}
EFFECTS = "SELECT key, state FROM effect WHERE provider = ANY($1) ORDER BY key LIMIT 1000000"
PRIVATE = """
SELECT value AS words FROM contact_identity WHERE kind = 'phone'
UNION SELECT left(text, 200) FROM message WHERE length(text) >= 12 ORDER BY words LIMIT 5000
"""
KNOWN_SENT = {"sent", "confirmed", "unknown", "sending"}


async def violations(
    database_url: str, *, simulator_url: str = "", redis_url: str = "", log_file: Path | None = None
) -> list[str]:
    """Return one line a violation; at most a hundred of each sort. `database_url` must see every row."""
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=120)
    try:
        lines: list[str] = []
        for promise, query in IN_DATABASE.items():
            rows = await connection.fetch(f"{query} ORDER BY 1 LIMIT {MOST_LINES}")
            lines += [f"{promise}: {row['what']}" for row in rows]
        if simulator_url:
            effects = await connection.fetch(EFFECTS, list(SENDERS))
            lines += against_provider(effects, await _calls(simulator_url))
        private = [row["words"] for row in await connection.fetch(PRIVATE)]
        if redis_url:
            lines += await _private_words_in_redis(redis_url, private)
        if log_file:
            lines += private_words_in_log(log_file, private)
    finally:
        await connection.close()
    return lines


def against_provider(effects: Iterable[Mapping[str, Any]], calls: Iterable[Mapping[str, Any]]) -> list[str]:
    """Compare the effect ledger with every send that a provider received (I1, I4).

    A call counts as taken unless its answer proves otherwise; no answer proves nothing.
    """
    taken: dict[str, int] = {}
    for call in calls:
        body = call["request"].get("body") or {}
        key = body.get(SENDERS[call["provider"]][0])
        if key and not _proves_not_taken(call.get("answer")):
            taken[key] = taken.get(key, 0) + 1
    states = {row["key"]: row["state"] for row in effects}
    lines = [f"I1 sent {count} times: {key}" for key, count in taken.items() if count > 1]
    lines += [
        f"I4 the provider took it, the ledger says {states.get(key, 'nothing')}: {key}"
        for key in taken
        if states.get(key) not in KNOWN_SENT
    ]
    lines += [
        f"I4 the ledger says sent, the provider never saw it: {key}"
        for key, state in states.items()
        if state in {"sent", "confirmed"} and key not in taken
    ]
    return lines


def _proves_not_taken(answer: Mapping[str, Any] | None) -> bool:
    return answer is not None and int(answer.get("status", 200)) >= 400  # noqa: PLR2004 -- HTTP's own line


async def _calls(simulator_url: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(base_url=simulator_url, timeout=10) as client:
        return [call for provider in SENDERS for call in await _calls_of(client, provider)]


async def _calls_of(client: httpx.AsyncClient, provider: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    path = SENDERS[provider][1]
    while True:
        after = found[-1]["n"] if found else 0
        answer = await client.get("/sim/calls", params={"provider": provider, "after": after})
        page = answer.raise_for_status().json()
        found += page
        if not page:
            return [call for call in found if str(call["request"].get("path", "")).endswith(path)]


def private_words_in_log(log_file: Path, private: list[str]) -> list[str]:
    """Return the places in a log that hold a phone number or a message's text, never the words (I11)."""
    needles = [words.lstrip("+") for words in private]
    with log_file.open(encoding="utf-8", errors="replace") as lines:
        found = [
            f"I11 a phone number or a message's text in the log: line {number}"
            for number, line in enumerate(lines, start=1)
            if any(needle in line for needle in needles)
        ]
    return found[:MOST_LINES]


async def _private_words_in_redis(redis_url: str, private: list[str]) -> list[str]:
    needles = [words.lstrip("+").encode() for words in private]
    lines: list[str] = []
    client: Redis = Redis.from_url(redis_url, socket_timeout=10)
    try:
        async for key in client.scan_iter(count=1000):
            held = key + b" " + (await client.dump(key) or b"")
            if any(needle in held for needle in needles):
                lines.append(
                    f"I11 a phone number or a message's text in Redis: {key.decode(errors='replace')}"
                )
    finally:
        await client.aclose()
    return lines[:MOST_LINES]
