"""The SQL of what an operator does, each statement atomic on its own."""

from __future__ import annotations

CANCEL = """
WITH found AS (
    SELECT id, business_id, state, token, dispatch_no FROM job WHERE id = $1 FOR UPDATE
), changed AS (
    UPDATE job SET cancel_asked_at = now(), reason = $3,
                   state = CASE found.state WHEN 'ready' THEN 'cancelled' ELSE found.state END,
                   finished_at = CASE found.state WHEN 'ready' THEN now() END
    FROM found WHERE job.id = found.id AND found.state IN ('ready', 'running')
    RETURNING job.id
), audit AS (
    INSERT INTO job_audit (job_id, business_id, from_state, to_state, actor, reason)
    SELECT found.id, business_id, found.state, 'cancelled', $2, $3 FROM found JOIN changed USING (id)
)
SELECT found.state AS before, found.dispatch_no, attempt.worker
FROM found LEFT JOIN job_attempt AS attempt
    ON attempt.job_id = found.id AND attempt.token = found.token AND found.state = 'running'
"""

BUSINESS = "SELECT id FROM business WHERE id = $1"
PAUSE = """
INSERT INTO job_pause (sort, name, reason, paused_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (sort, name) WHERE resumed_at IS NULL DO NOTHING RETURNING id
"""
RESUME = """
UPDATE job_pause SET resumed_at = now(), resumed_by = $3
WHERE sort = $1 AND name = $2 AND resumed_at IS NULL RETURNING id
"""

_IS_SELECTED = """
job.state = ANY($1::text[]) AND job.state IN ('failed', 'quarantined', 'expired', 'cancelled')
AND ($2::text IS NULL OR job.kind = $2) AND ($3::text IS NULL OR job.queue = $3)
AND ($4::bigint IS NULL OR job.business_id = $4)
AND ($5::text IS NULL OR strpos(lower(job.reason), lower($5)) > 0)
AND ($6::float8 IS NULL OR job.finished_at > now() - $6 * interval '1 second')
AND ($7::text[] IS NULL OR job.id = ANY($7))
"""
_IS_HELD_BACK = "EXISTS (SELECT FROM effect WHERE effect.job_id = job.id AND effect.state = ANY($8::text[]))"

COUNT_SELECTED = f"""
SELECT count(*) AS jobs, count(*) FILTER (WHERE {_IS_HELD_BACK}) AS held_back FROM job WHERE {_IS_SELECTED}
"""  # noqa: S608 -- composed of constants
COUNT_EFFECTS = f"""
SELECT effect.state, count(*) AS effects FROM job JOIN effect ON effect.job_id = job.id
WHERE {_IS_SELECTED} GROUP BY effect.state
"""  # noqa: S608 -- composed of constants
SELECTED = f"""
SELECT id, kind, business_id, state, reason, attempts,
       extract(epoch FROM now() - finished_at)::float8 AS ended_s
FROM job WHERE {_IS_SELECTED} ORDER BY finished_at DESC LIMIT $8
"""  # noqa: S608 -- composed of constants
# What another operator runs again, or a follow-up has at hand, is waited for and looked at anew: a job that
# were skipped would stay as it is without a word. In one order, so that two operators cannot deadlock.
RUN_AGAIN = f"""
WITH chosen AS (
    SELECT id, state FROM job WHERE {_IS_SELECTED} AND NOT {_IS_HELD_BACK}
    ORDER BY finished_at, id LIMIT $11 FOR UPDATE
), again AS (
    UPDATE job SET state = 'ready', attempts = 0, deaths = 0, finished_at = NULL, due_at = now(),
                   expires_at = NULL, cancel_asked_at = NULL, dispatched_at = NULL
    FROM chosen WHERE job.id = chosen.id
    RETURNING job.id, job.business_id, chosen.state AS before
)
INSERT INTO job_audit (job_id, business_id, from_state, to_state, actor, reason)
SELECT id, business_id, before, 'ready', $9, $10 FROM again RETURNING job_id
"""  # noqa: S608 -- composed of constants

# The audit hangs on the job; an effect may outlive its job, and then its own row says who settled it.
SETTLE = """
WITH settled AS (
    UPDATE effect SET state = $2, settled_at = now(), reason = format('settled by %s: %s', $3::text, $4::text)
    WHERE key = $1 AND state = 'unknown' RETURNING key, job_id, business_id
), audit AS (
    INSERT INTO job_audit (job_id, business_id, from_state, to_state, actor, reason)
    SELECT job.id, settled.business_id, 'unknown', $2, $3, format('effect %s: %s', key, $4::text)
    FROM settled JOIN job ON job.id = settled.job_id
)
SELECT key FROM settled
"""

QUEUES = """
SELECT queue, kind, count(*) FILTER (WHERE state = 'ready') AS ready,
       count(*) FILTER (WHERE state = 'running') AS running,
       coalesce(extract(epoch FROM now() - min(due_at) FILTER (WHERE state = 'ready' AND due_at <= now())),
                0)::float8 AS oldest_s,
       EXISTS (SELECT FROM job_pause WHERE resumed_at IS NULL
               AND (sort, name) IN (('kind', job.kind), ('queue', job.queue))) AS paused
FROM job WHERE state IN ('ready', 'running') GROUP BY queue, kind ORDER BY queue, kind LIMIT 200
"""
PAUSES = """
SELECT sort, name, reason, paused_by, extract(epoch FROM now() - paused_at)::float8 AS since_s
FROM job_pause WHERE resumed_at IS NULL ORDER BY paused_at LIMIT $1
"""
RUNNING = """
SELECT job.id, job.kind, job.business_id, job.attempts, attempt.worker,
       extract(epoch FROM now() - job.started_at)::float8 AS running_s,
       (progress ->> 'total')::bigint AS total, progress_share,
       extract(epoch FROM now() - progress_at)::float8 AS progress_age_s
FROM job LEFT JOIN job_attempt AS attempt ON attempt.job_id = job.id AND attempt.token = job.token
WHERE job.state = 'running' ORDER BY job.started_at LIMIT $1
"""
UNKNOWN_EFFECTS = """
SELECT key, business_id, provider, reason, extract(epoch FROM now() - sending_at)::float8 AS since_s
FROM effect WHERE state = 'unknown' ORDER BY sending_at LIMIT $1
"""
