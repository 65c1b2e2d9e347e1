-- Another member, an operator or a follow-up may hold a job for a moment. It is waited for and looked at anew:
-- one that were skipped would stay as it is, though its owner was told that everything was done. In one
-- order, so that two who run the same jobs again cannot deadlock.
CREATE OR REPLACE FUNCTION run_own_jobs_again(chosen text[], most int) RETURNS TABLE (id text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH ended AS (
        SELECT job.id, job.state FROM job
        WHERE job.business_id = ANY (current_businesses()) AND job.state IN ('failed', 'quarantined', 'expired')
          AND (chosen IS NULL OR job.id = ANY (chosen))
          AND NOT EXISTS (SELECT FROM effect WHERE effect.job_id = job.id
                          AND effect.state IN ('sent', 'confirmed', 'unknown', 'sending'))
        ORDER BY job.finished_at, job.id LIMIT most FOR UPDATE
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
