-- What a run tells of itself: counts of its parts by state, and where the next run goes on.
ALTER TABLE job ADD COLUMN progress jsonb, ADD COLUMN progress_at timestamptz, ADD COLUMN checkpoint jsonb;

-- One account at one provider, as all workers see it: its circuit breaker and its rate limit.
-- Not of a business: the names say nothing to anybody but the engine.
CREATE TABLE provider_account (
    provider text NOT NULL,
    name text NOT NULL,
    failures int NOT NULL DEFAULT 0,
    closed_until timestamptz,
    reason text,
    tokens float8 NOT NULL,
    refilled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider, name)
);
GRANT SELECT, INSERT, UPDATE ON provider_account TO prosaas_worker;
GRANT SELECT ON provider_account TO prosaas_scheduler;

-- Leave to call an account up to `wanted` times: how many calls were granted, and, where none was,
-- after how many seconds to ask again. Without a rate an account has as many tokens as are wanted.
-- After `trips` failures in a row one call at a time finds out whether the provider is back.
CREATE FUNCTION admit_calls(
    of_provider text, of_name text, rate float8, burst float8, wanted int, trips int, probe_s float8,
    OUT granted int, OUT wait_s float8, OUT failures int)
LANGUAGE plpgsql AS $$
DECLARE
    account provider_account;
    moment timestamptz;
    filled float8;
BEGIN
    INSERT INTO provider_account (provider, name, tokens) VALUES (of_provider, of_name, coalesce(burst, 0))
    ON CONFLICT DO NOTHING;
    SELECT * INTO account FROM provider_account WHERE provider = of_provider AND name = of_name FOR UPDATE;
    moment := clock_timestamp();
    filled := CASE WHEN rate IS NULL THEN wanted
                   ELSE least(burst, account.tokens + rate * extract(epoch FROM moment - account.refilled_at)) END;
    failures := account.failures;
    wait_s := greatest(extract(epoch FROM account.closed_until - moment), 0);
    granted := CASE WHEN wait_s > 0 THEN 0
                    WHEN failures >= trips THEN least(1, floor(filled)) ELSE least(wanted, floor(filled)) END;
    IF granted = 0 AND coalesce(wait_s, 0) = 0 THEN
        wait_s := (1 - filled) / rate;
    END IF;
    UPDATE provider_account
    SET tokens = CASE WHEN rate IS NULL THEN tokens ELSE filled - granted END, refilled_at = moment,
        closed_until = CASE WHEN granted > 0 AND account.failures >= trips
                            THEN moment + probe_s * interval '1 second' ELSE closed_until END
    WHERE provider = of_provider AND name = of_name;
END $$;
