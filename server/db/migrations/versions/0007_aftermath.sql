-- More of what a member may do to their business's work; as in 0006, these run with the rights of the
-- role that puts work right, compare with the transaction's businesses themselves, and record its user.

-- Cancel a job that waits, or ask the worker that runs it to stop. Returns what the job was before, and
-- for a running one which dispatch of which worker must hear it; nothing for a job that has ended.
-- The code before this calls cancel_own_job, which leaves running jobs alone.
CREATE FUNCTION stop_own_job(stopped text) RETURNS TABLE (before text, dispatch_no int, worker text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH found AS (
        SELECT id, business_id, state, token, dispatch_no FROM job
        WHERE id = stopped AND business_id = ANY (current_businesses()) AND state IN ('ready', 'running')
        FOR UPDATE
    ), changed AS (
        UPDATE job SET cancel_asked_at = coalesce(cancel_asked_at, now()), reason = 'cancelled on the jobs page',
                       state = CASE found.state WHEN 'ready' THEN 'cancelled' ELSE found.state END,
                       finished_at = CASE found.state WHEN 'ready' THEN now() END
        FROM found WHERE job.id = found.id
    ), audit AS (
        INSERT INTO job_audit (job_id, business_id, from_state, to_state, actor, reason)
        SELECT id, business_id, state, 'cancelled', 'member ' || current_user_account(), 'cancelled on the jobs page'
        FROM found
    )
    SELECT found.state, found.dispatch_no, attempt.worker
    FROM found LEFT JOIN job_attempt AS attempt
        ON attempt.job_id = found.id AND attempt.token = found.token AND found.state = 'running'
$$;

-- Say what became of an effect of which nobody could know; tell whether it was still unknown. Its own row
-- says who settled it, for it may outlive its job.
CREATE FUNCTION settle_own_effect(settled_key text, became text) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH member AS (
        SELECT 'member ' || current_user_account() AS name
    ), settled AS (
        UPDATE effect SET state = became, settled_at = now(),
                          reason = format('settled by %s: looked up on the jobs page', member.name)
        FROM member
        WHERE key = settled_key AND business_id = ANY (current_businesses()) AND state = 'unknown'
          AND became IN ('confirmed', 'not_sent') AND member.name IS NOT NULL
        RETURNING key, job_id, effect.business_id, member.name AS actor
    ), audit AS (
        INSERT INTO job_audit (job_id, business_id, from_state, to_state, actor, reason)
        SELECT job.id, settled.business_id, 'unknown', became, actor, format('effect %s: settled on the jobs page', key)
        FROM settled JOIN job ON job.id = settled.job_id
    )
    SELECT EXISTS (SELECT FROM settled)
$$;

REVOKE EXECUTE ON FUNCTION stop_own_job, settle_own_effect FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stop_own_job, settle_own_effect TO prosaas_api;
GRANT CREATE ON SCHEMA public TO prosaas_scheduler;
ALTER FUNCTION stop_own_job OWNER TO prosaas_scheduler;
ALTER FUNCTION settle_own_effect OWNER TO prosaas_scheduler;
REVOKE CREATE ON SCHEMA public FROM prosaas_scheduler;
