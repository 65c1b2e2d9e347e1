"""The ledger's SQL, each statement atomic on its own."""

from __future__ import annotations

# A lane's head is its oldest unfinished job. The partial unique index on running lanes backs this up.
LANE_IS_FREE = """
(job.lane IS NULL OR NOT EXISTS (
    SELECT FROM job AS ahead
    WHERE ahead.lane = job.lane AND ahead.state IN ('ready', 'running')
      AND (ahead.seq < job.seq OR ahead.state = 'running')))
"""

# What somebody paused stays where it is. The table is all but empty, and so is this.
NOT_PAUSED = """
NOT EXISTS (
    SELECT FROM job_pause WHERE resumed_at IS NULL
      AND (sort, name) IN (('kind', job.kind), ('queue', job.queue), ('business', job.business_id::text)))
"""

# The same for lines of waiting work, where the pauses were read once before.
_IS_UNPAUSED = """
NOT EXISTS (SELECT FROM paused WHERE job.kind = ANY (kinds) OR job.queue = ANY (queues)
                                  OR job.business::text = ANY (businesses))
"""

# Three ways to say that a job waits and is not in Redis, so that each question has one index to take. After
# a burst the planner believes that nothing waits, and would read the whole of a small index rather than look
# a job up. `state = 'ready' AND dispatched_at IS NULL` is answered by time, these by line and by id.
_IN_LINE = "state = 'ready' AND coalesce(dispatched_at, '-infinity') = '-infinity'"
_STILL_WAITS = "state = 'ready' AND coalesce(dispatched_at, 'infinity') = 'infinity'"

# The same for what runs: these are looked up by their ids, not among all that runs.
STILL_RUNS = "coalesce(job.state, '') = 'running'"

_CLAIM_COLUMNS = """
id AS job_id, token, attempts, kind, version, payload::text AS payload, business_id, queue, lane, dispatch_no,
deaths, checkpoint::text AS checkpoint, extract(epoch FROM expires_at - now())::float8 AS expires_in_s,
extract(epoch FROM started_at - due_at)::float8 AS waited_s
"""

CLAIM = f"""
WITH due AS (
    SELECT id FROM job
    WHERE id = ANY($1::text[]) AND state = 'ready' AND due_at <= now()
      AND (expires_at IS NULL OR expires_at > now()) AND {NOT_PAUSED} AND {LANE_IS_FREE}
    ORDER BY seq FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE job SET state = 'running', token = token + 1, attempts = attempts + 1, started_at = now(),
                   lease_until = now() + $2::float8 * interval '1 second', reason = NULL
    WHERE id = ANY(ARRAY(SELECT id FROM due))
    RETURNING job.*
), attempt AS (
    INSERT INTO job_attempt (job_id, token, business_id, worker)
    SELECT id, token, business_id, $3 FROM claimed
)
SELECT {_CLAIM_COLUMNS}
FROM claimed
"""  # noqa: S608 -- composed of constants

CLAIM_OF = f"""
SELECT {_CLAIM_COLUMNS}
FROM job WHERE id = $1 AND token = $2 AND {STILL_RUNS}
"""  # noqa: S608 -- composed of constants

ENDING_OF = "SELECT outcome, reason FROM job_attempt WHERE job_id = $1 AND token = $2"

UNCLAIMED = """
UPDATE job SET dispatched_at = NULL WHERE id = ANY($1::text[]) AND state = 'ready' RETURNING id
"""

RENEW = f"""
WITH mine AS MATERIALIZED (
    SELECT job.id FROM job JOIN unnest($1::text[], $2::bigint[]) AS held (id, token)
        ON job.id = held.id AND job.token = held.token
    WHERE job.id = ANY($1::text[]) AND {STILL_RUNS} ORDER BY job.id FOR UPDATE OF job
)
UPDATE job SET lease_until = now() + $3::float8 * interval '1 second'
WHERE id = ANY(ARRAY(SELECT id FROM mine))
RETURNING id, token, cancel_asked_at IS NOT NULL AS cancelled
"""  # noqa: S608 -- composed of constants

# How runs ended, many at once; two may be of one job, and then only the one that holds it has its say.
# A delay says that the job waits again, `unused` that no attempt was used.
# Rows are locked in one order, as renewals do, so that the two cannot deadlock.
END = f"""
WITH told AS (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::float8[], $6::int[])
        AS one (id, token, outcome, reason, delay_s, unused)
), mine AS MATERIALIZED (
    SELECT job.id, job.token FROM job JOIN told ON job.id = told.id AND job.token = told.token
    WHERE job.id = ANY($1::text[]) AND {STILL_RUNS} ORDER BY job.id FOR UPDATE OF job
), ended AS (
    UPDATE job SET state = CASE WHEN delay_s IS NULL THEN told.outcome
                                WHEN cancel_asked_at IS NOT NULL THEN 'cancelled' ELSE 'ready' END,
                   reason = told.reason, lease_until = NULL, attempts = greatest(attempts - unused, 0),
                   finished_at = CASE WHEN delay_s IS NULL OR cancel_asked_at IS NOT NULL THEN now() END,
                   dispatched_at = CASE WHEN delay_s IS NULL THEN dispatched_at END,
                   due_at = CASE WHEN delay_s IS NULL THEN due_at
                                 ELSE now() + delay_s * interval '1 second' END
    FROM told JOIN mine USING (id, token) WHERE job.id = told.id AND job.id = ANY($1::text[])
    RETURNING job.id, job.token, told.outcome, told.reason
)
UPDATE job_attempt SET ended_at = now(), outcome = ended.outcome, reason = ended.reason
FROM ended WHERE job_attempt.job_id = ended.id AND job_attempt.token = ended.token
RETURNING job_attempt.job_id, job_attempt.token
"""  # noqa: S608 -- composed of constants

# What `hold_lease` raises once the lease is gone (migration 0022).
LEASE_GONE = "PS001"

# What is done never becomes less: a number that fell would be a miscount. Nor does the bar, though a total
# may grow.
PROGRESS = f"""
UPDATE job SET progress = $3::jsonb, progress_at = now(), progress_share = greatest(progress_share, $5::int)
WHERE id = $1 AND token = $2 AND {STILL_RUNS} AND coalesce((progress ->> 'done')::bigint, 0) <= $4
RETURNING id
"""  # noqa: S608 -- composed of constants

CHECKPOINT = f"""
UPDATE job SET checkpoint = $3::jsonb WHERE id = $1 AND token = $2 AND {STILL_RUNS} RETURNING id
"""  # noqa: S608 -- composed of constants

NEXT_IN_LANES = f"""
UPDATE job SET dispatched_at = now(), dispatch_no = dispatch_no + 1
WHERE id = ANY(ARRAY(
    SELECT head.id FROM unnest($1::text[]) AS freed (lane)
    CROSS JOIN LATERAL (SELECT id FROM job WHERE job.lane = freed.lane AND state IN ('ready', 'running')
                        ORDER BY seq LIMIT 1) AS head))
  AND {_STILL_WAITS} AND due_at <= now()
RETURNING id, kind, queue, business_id, dispatch_no
"""  # noqa: S608 -- composed of constants

DISPATCH_AGAIN = f"""
UPDATE job SET dispatched_at = now(), dispatch_no = dispatch_no + 1
WHERE id = ANY($1::text[]) AND {_STILL_WAITS} AND due_at <= now() AND {LANE_IS_FREE}
RETURNING id, kind, queue, business_id, dispatch_no
"""  # noqa: S608 -- composed of constants

REOPEN = """
WITH ended AS (
    SELECT job.id, job.state FROM job
    JOIN unnest($1::text[], $2::bigint[]) AS asked (id, token) USING (id, token)
    WHERE job.state IN ('failed', 'quarantined') FOR UPDATE OF job
), reopened AS (
    UPDATE job SET state = 'ready', attempts = 0, deaths = 0, finished_at = NULL, due_at = now(),
                   expires_at = NULL, cancel_asked_at = NULL, dispatched_at = NULL
    FROM ended WHERE job.id = ended.id
    RETURNING job.id, job.business_id, ended.state AS from_state
), audit AS (
    INSERT INTO job_audit (job_id, business_id, from_state, to_state, actor, reason)
    SELECT id, business_id, from_state, 'ready', $3, 'requeued' FROM reopened
)
SELECT id FROM reopened
"""

# What was found in `dead` died: it waits again, or is quarantined after as many deaths as `most` says.
_COUNT_DEATHS = """
, freed AS (
    UPDATE job SET deaths = deaths + 1, lease_until = NULL, dispatched_at = NULL, due_at = now(),
                   state = CASE WHEN cancel_asked_at IS NOT NULL THEN 'cancelled'
                                WHEN deaths + 1 >= {most} THEN 'quarantined' ELSE 'ready' END,
                   finished_at = CASE WHEN deaths + 1 >= {most} OR cancel_asked_at IS NOT NULL THEN now() END,
                   reason = CASE WHEN deaths + 1 >= {most}
                                 THEN format('its process died %s times', deaths + 1) END
    WHERE job.id = ANY(ARRAY(SELECT id FROM dead))
    RETURNING job.id, job.token, job.kind, job.queue, job.business_id, job.dispatch_no, job.state
), attempt AS (
    UPDATE job_attempt SET ended_at = now(), reason = '{reason}',
                           outcome = CASE freed.state WHEN 'ready' THEN 'lost' ELSE freed.state END
    FROM freed WHERE job_attempt.job_id = freed.id AND job_attempt.token = freed.token
)
SELECT * FROM freed
"""
LEASE_RAN_OUT = "its lease ran out"
FREE_EXPIRED_LEASES = f"""
WITH dead AS (
    SELECT id, token FROM job WHERE state = 'running' AND lease_until < now()
    ORDER BY lease_until LIMIT $1 FOR UPDATE SKIP LOCKED
){_COUNT_DEATHS.format(most="$2", reason=LEASE_RAN_OUT)}"""  # noqa: S608 -- composed of constants
BURY = f"""
WITH dead AS (
    SELECT job.id, job.token FROM job
    JOIN unnest($1::text[], $2::bigint[]) AS held (id, token) ON job.id = held.id AND job.token = held.token
    WHERE job.id = ANY($1::text[]) AND {STILL_RUNS} FOR UPDATE OF job
){_COUNT_DEATHS.format(most="$3", reason="its process died of it")}"""  # noqa: S608 -- composed of constants

# A lease that ran out is counted as a death, for nobody else could tell. The process that held it takes that
# back when it lives: the machine was slow, or PostgreSQL away, and the job is not to blame. Not once an
# operator has run the job again: its deaths are forgotten then.
LIVES = f"""
WITH mine AS MATERIALIZED (
    SELECT job.id, job.business_id, job.state = 'quarantined' AND job.token = $2 AS was_set_aside
    FROM job JOIN job_attempt AS attempt ON attempt.job_id = job.id AND attempt.token = $2
    WHERE job.id = $1 AND attempt.outcome IN ('lost', 'quarantined') AND attempt.reason = '{LEASE_RAN_OUT}'
      AND NOT EXISTS (SELECT FROM job_audit WHERE job_audit.job_id = job.id AND to_state = 'ready'
                        AND actor <> 'worker' AND at > attempt.started_at)
    FOR UPDATE OF job
), attempt AS (
    UPDATE job_attempt SET outcome = 'released', reason = '{LEASE_RAN_OUT}, and its process lives'
    FROM mine WHERE job_attempt.job_id = mine.id AND job_attempt.token = $2
), audit AS (
    INSERT INTO job_audit (job_id, business_id, from_state, to_state, actor, reason)
    SELECT id, business_id, 'quarantined', 'ready', 'worker', '{LEASE_RAN_OUT}, and its process lives'
    FROM mine WHERE was_set_aside
)
UPDATE job SET deaths = greatest(deaths - 1, 0), attempts = greatest(attempts - 1, 0),
               state = CASE WHEN was_set_aside THEN 'ready' ELSE state END,
               finished_at = CASE WHEN NOT was_set_aside THEN finished_at END,
               reason = CASE WHEN NOT was_set_aside THEN reason END
FROM mine WHERE job.id = mine.id
RETURNING job.id
"""  # noqa: S608 -- composed of constants

STRAYS = """
SELECT job.id, job.token FROM job
JOIN job_attempt AS attempt ON attempt.job_id = job.id AND attempt.token = job.token
WHERE job.state = 'running' AND attempt.worker = $1 ORDER BY job.id LIMIT 10000
"""

EXPIRE = """
WITH late AS (
    SELECT id FROM job WHERE state = 'ready' AND expires_at < now() ORDER BY expires_at LIMIT $1
    FOR UPDATE SKIP LOCKED
), expired AS (
    UPDATE job SET state = 'expired', finished_at = now(), reason = 'its time passed before it could run'
    FROM late WHERE job.id = late.id RETURNING job.id, job.business_id
), audit AS (
    INSERT INTO job_audit (job_id, business_id, from_state, to_state, actor, reason)
    SELECT id, business_id, 'ready', 'expired', 'sweeper', 'its time passed before it could run' FROM expired
)
SELECT id FROM expired
"""

ORPHANED_EFFECTS = """
UPDATE effect SET state = 'unknown', reason = 'the process that was sending it ended'
WHERE key IN (
    SELECT effect.key FROM effect LEFT JOIN job ON job.id = effect.job_id
    WHERE effect.state = 'sending'
      AND (job.id IS NULL OR job.state <> 'running' OR job.token <> effect.token)
    ORDER BY effect.sending_at LIMIT $1 FOR UPDATE OF effect SKIP LOCKED)
RETURNING key
"""

# Each queue of $1 gets as many as $2 says: most urgent first, and in a class one job of each business in
# turn. Where more than $4 are due, they are found line by line (what waits of one business, queue and kind)
# by steps through an index, $3 lines at most, so that none is hidden behind another, nor behind what is
# paused; fewer are read at once, and what is not due yet costs nothing. Classes below those that fill a queue
# are not read: a class has as many as its lines and four times the places at most, so that what the limit
# cuts off is never needed. Always returns a row, which names the queues of which more waits than there were
# places for; without an id where nothing was handed over.
DISPATCH_DUE = f"""
WITH RECURSIVE room AS MATERIALIZED (
    SELECT queue, places FROM unnest($1::text[], $2::int[]) AS one (queue, places) WHERE places > 0
), paused AS MATERIALIZED (
    SELECT coalesce(array_agg(name) FILTER (WHERE sort = 'kind'), '{{}}') AS kinds,
           coalesce(array_agg(name) FILTER (WHERE sort = 'queue'), '{{}}') AS queues,
           coalesce(array_agg(name) FILTER (WHERE sort = 'business'), '{{}}') AS businesses
    FROM job_pause WHERE resumed_at IS NULL
), early AS MATERIALIZED (
    SELECT id, kind, queue, lane, due_at, seq, urgency, coalesce(business_id, 0) AS business FROM job
    WHERE state = 'ready' AND dispatched_at IS NULL AND due_at <= now() ORDER BY due_at LIMIT $4 + 1
), step AS (
    (SELECT urgency, coalesce(business_id, 0) AS business, queue, kind, due_at FROM job
     WHERE {_IN_LINE} AND (SELECT count(*) FROM early) > $4
     ORDER BY urgency, coalesce(business_id, 0), queue, kind, due_at LIMIT 1)
    UNION ALL
    SELECT next.* FROM step CROSS JOIN LATERAL (
        SELECT urgency, coalesce(business_id, 0), queue, kind, due_at FROM job
        WHERE {_IN_LINE} AND (urgency, coalesce(business_id, 0), queue, kind)
                             > (step.urgency, step.business, step.queue, step.kind)
        ORDER BY urgency, coalesce(business_id, 0), queue, kind, due_at LIMIT 1) AS next
), line AS MATERIALIZED (
    SELECT urgency, business, queue, kind, places FROM step AS job JOIN room USING (queue)
    WHERE due_at <= now() AND {_IS_UNPAUSED} LIMIT $3
), share AS MATERIALIZED (
    SELECT *, least(places, 1 + 4 * places / lines) AS most
    FROM (SELECT *, count(*) OVER (PARTITION BY queue, urgency) AS lines FROM line) AS counted
), due AS MATERIALIZED (
    SELECT id, queue, due_at, seq, urgency, business, kind, places, NULL AS most
    FROM early AS job JOIN room USING (queue)
    WHERE (SELECT count(*) FROM early) <= $4 AND {_IS_UNPAUSED} AND {LANE_IS_FREE}
    UNION ALL
    SELECT found.* FROM room CROSS JOIN LATERAL (
        SELECT one.*, ranked.business, ranked.kind, places, most
        FROM (SELECT * FROM share WHERE share.queue = room.queue ORDER BY urgency) AS ranked
        CROSS JOIN LATERAL (
            SELECT id, queue, due_at, seq, urgency FROM job
            WHERE {_IN_LINE} AND due_at <= now() AND {LANE_IS_FREE}
              AND job.urgency = ranked.urgency AND coalesce(job.business_id, 0) = ranked.business
              AND job.queue = ranked.queue AND job.kind = ranked.kind
            ORDER BY urgency, coalesce(business_id, 0), queue, kind, due_at, seq LIMIT ranked.most) AS one
        LIMIT 5 * room.places + (SELECT max(lines) FROM share WHERE share.queue = room.queue)) AS found
), fair AS MATERIALIZED (
    SELECT id, place FROM (
        SELECT id, places,
               row_number() OVER (PARTITION BY queue ORDER BY urgency, turn, due_at, seq) AS place
        FROM (SELECT *, row_number() OVER (PARTITION BY urgency, business ORDER BY due_at, seq) AS turn
              FROM due) AS candidate) AS lined
    WHERE place <= places
), locked AS MATERIALIZED (
    SELECT one.id, place FROM fair CROSS JOIN LATERAL (
        SELECT id FROM job WHERE job.id = fair.id AND {_STILL_WAITS} FOR UPDATE SKIP LOCKED) AS one
), handed AS (
    UPDATE job SET dispatched_at = now(), dispatch_no = dispatch_no + 1
    WHERE id = ANY(ARRAY(SELECT id FROM locked))
    RETURNING id, kind, queue, business_id, dispatch_no
), told AS (
    SELECT ARRAY(SELECT queue FROM due GROUP BY queue HAVING count(*) > min(places)
                 UNION SELECT queue FROM due GROUP BY urgency, business, queue, kind, most
                       HAVING count(*) >= most) AS more
)
SELECT more, handed.*, place FROM told LEFT JOIN (handed JOIN locked USING (id)) ON true
"""  # noqa: S608 -- composed of constants

# Dispatched a while ago and still ready: either waiting in Redis, or lost.
SUSPECTS = """
SELECT id, kind, queue, business_id, dispatch_no FROM job
WHERE state = 'ready' AND dispatched_at < now() - $1::float8 * interval '1 second'
ORDER BY dispatched_at LIMIT $2
"""

MARK_SEEN = "UPDATE job SET dispatched_at = now() WHERE id = ANY($1::text[]) AND state = 'ready'"


def fence(job_id: str, token: int) -> str:
    """Return what lets a run's transaction commit only while it holds its lease; it goes with the COMMIT."""
    quoted = job_id.replace("'", "''")
    return f"SELECT hold_lease('{quoted}', {token})"
