-- The pages' list of what ended badly, of one business, however many there are of others.
CREATE INDEX job_ended_badly_business ON job (business_id, finished_at)
    WHERE state IN ('failed', 'quarantined', 'expired');

-- What a member may do to their business's work. The api itself may not change a job's state; it may
-- call these, which run with the rights of the role that puts work right, and so see every business's
-- rows: they compare with the transaction's businesses themselves. The transaction's user is recorded
-- as the actor; without one nothing can be done.

-- Make jobs that ended badly ready again, `most` at once, the oldest first; those of `chosen`, or all.
-- What sent something, or may have, is left as it is.
CREATE FUNCTION run_own_jobs_again(chosen text[], most int) RETURNS TABLE (id text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH ended AS (
        SELECT job.id, job.state FROM job
        WHERE job.business_id = ANY (current_businesses()) AND job.state IN ('failed', 'quarantined', 'expired')
          AND (chosen IS NULL OR job.id = ANY (chosen))
          AND NOT EXISTS (SELECT FROM effect WHERE effect.job_id = job.id
                          AND effect.state IN ('sent', 'confirmed', 'unknown', 'sending'))
        ORDER BY job.finished_at LIMIT most FOR UPDATE SKIP LOCKED
    ), again AS (
        UPDATE job SET state = 'ready', attempts = 0, deaths = 0, finished_at = NULL, due_at = now(),
                       expires_at = NULL, cancel_asked_at = NULL, dispatched_at = NULL
        FROM ended WHERE job.id = ended.id
        RETURNING job.id, job.business_id, ended.state AS before
    )
    INSERT INTO job_audit (job_id, business_id, from_state, to_state, actor, reason)
    SELECT again.id, business_id, before, 'ready', 'member ' || current_user_account(), 'run again on the jobs page'
    FROM again RETURNING job_id
$$;

-- Cancel a job that waits; tell whether it did. One that runs goes on: a worker holds it.
CREATE FUNCTION cancel_own_job(cancelled text) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH changed AS (
        UPDATE job SET state = 'cancelled', cancel_asked_at = now(), finished_at = now(),
                       reason = 'cancelled on the jobs page'
        WHERE id = cancelled AND business_id = ANY (current_businesses()) AND state = 'ready'
        RETURNING id, business_id
    ), audit AS (
        INSERT INTO job_audit (job_id, business_id, from_state, to_state, actor, reason)
        SELECT id, business_id, 'ready', 'cancelled', 'member ' || current_user_account(),
               'cancelled on the jobs page'
        FROM changed RETURNING 1
    )
    SELECT EXISTS (SELECT FROM audit)
$$;

REVOKE EXECUTE ON FUNCTION run_own_jobs_again, cancel_own_job FROM PUBLIC;
GRANT EXECUTE ON FUNCTION run_own_jobs_again, cancel_own_job TO prosaas_api;
-- Whoever is to own a function must be allowed to make one, for this moment.
GRANT CREATE ON SCHEMA public TO prosaas_scheduler;
ALTER FUNCTION run_own_jobs_again OWNER TO prosaas_scheduler;
ALTER FUNCTION cancel_own_job OWNER TO prosaas_scheduler;
REVOKE CREATE ON SCHEMA public FROM prosaas_scheduler;
