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

-- Whatever ends a job without its handler's last word, or settles an effect outside its run, is followed
-- up by a job of its own, asked for in the same transaction. Triggers: no statement, of today or of a
-- later day, by whomever, can forget it. Claims, renewals and good ends stop at the condition. They run
-- with the rights of whoever changes the row, and all who may change a state may ask for jobs.
CREATE FUNCTION ask_for_aftermath(kind text, business_id bigint, payload jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO job (id, business_id, kind, payload, queue, urgency)
    VALUES (format('%s-%s-%s', kind, business_id,
                   left(encode(sha256(convert_to(payload::text, 'UTF8')), 'hex'), 24)),
            business_id, kind, payload, 'default', 1)
    ON CONFLICT (id) DO NOTHING
$$;

CREATE FUNCTION follow_up_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ask_for_aftermath('job_given_up_job', NEW.business_id,
        jsonb_build_object('job_id', NEW.id, 'ended_at', coalesce(NEW.finished_at, now())));
    RETURN NULL;
END $$;
-- Not for the two themselves: one that cannot be done would be followed up for ever.
CREATE TRIGGER job_given_up AFTER UPDATE OF state ON job FOR EACH ROW
WHEN (NEW.state IN ('failed', 'quarantined', 'expired', 'cancelled') AND OLD.state IN ('ready', 'running')
      AND NEW.business_id IS NOT NULL AND NEW.kind NOT IN ('job_given_up_job', 'effect_settled_job'))
EXECUTE FUNCTION follow_up_job();

CREATE FUNCTION follow_up_effect() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ask_for_aftermath('effect_settled_job', NEW.business_id,
        jsonb_build_object('key', NEW.key, 'tries', NEW.tries, 'state', NEW.state));
    RETURN NULL;
END $$;
-- A run takes its own effects from planned by sending to an end. What was not or may not be known, or was
-- called off, and ends now, was settled by hand or by evidence that came late.
CREATE TRIGGER effect_settled AFTER UPDATE OF state ON effect FOR EACH ROW
WHEN ((OLD.state = 'unknown' AND NEW.state IN ('sent', 'confirmed', 'failed', 'not_sent', 'abandoned'))
      OR (OLD.state IN ('not_sent', 'abandoned') AND NEW.state IN ('sent', 'confirmed', 'failed')))
EXECUTE FUNCTION follow_up_effect();
