-- A run's last word before it commits, in the same round trip as the commit: what it wrote stands only while
-- it holds its job. Locked until then, as whoever takes the job over locks it.
CREATE FUNCTION hold_lease(held_job text, held_token bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM job
    WHERE id = held_job AND token = held_token AND coalesce(state, '') = 'running'
      AND lease_until > clock_timestamp()
    FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the lease of this job is gone' USING ERRCODE = 'PS001';
    END IF;
END
$$;
