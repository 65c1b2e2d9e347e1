-- What waits for a person's decision, by kind: metrics count it in one step a kind, up to a limit.
CREATE INDEX job_set_aside ON job (kind, state) WHERE state IN ('failed', 'quarantined');

-- How full a job's bar is, in thousandths. A total that grows does not take it back.
ALTER TABLE job ADD COLUMN progress_share smallint NOT NULL DEFAULT 0 CHECK (progress_share BETWEEN 0 AND 1000);

-- What holds the transaction's businesses' work back: their own pause, and those of kinds and queues. The api
-- cannot read the table, which names other businesses.
CREATE FUNCTION own_pauses()
RETURNS TABLE (sort text, name text, reason text, paused_by text, paused_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT sort, name, reason, paused_by, paused_at FROM job_pause
    WHERE resumed_at IS NULL AND (sort <> 'business' OR name = ANY (current_businesses()::text[]))
    ORDER BY paused_at LIMIT 100
$$;
REVOKE EXECUTE ON FUNCTION own_pauses FROM PUBLIC;
GRANT EXECUTE ON FUNCTION own_pauses TO prosaas_api;
GRANT CREATE ON SCHEMA public TO prosaas_scheduler;
ALTER FUNCTION own_pauses OWNER TO prosaas_scheduler;
REVOKE CREATE ON SCHEMA public FROM prosaas_scheduler;
