-- What comes twice is compared as it is, without a hash of every event. The code before this writes it.
ALTER TABLE inbox_event ALTER COLUMN payload_hash DROP NOT NULL;
-- receive_events() vouches for an event's channel, row by row: a foreign key would look a second time.
-- So a channel is closed, never deleted.
ALTER TABLE inbox_event DROP CONSTRAINT inbox_event_channel_id_fkey;
REVOKE DELETE ON channel FROM prosaas_api, prosaas_worker;

-- The length apart: counted within the pattern it costs more than the rest of the row.
ALTER TABLE job DROP CONSTRAINT job_id_check;
ALTER TABLE job ADD CONSTRAINT job_id_check CHECK (id ~ '^[A-Za-z0-9_-]+$' AND length(id) <= 120);
-- Nothing reads it.
DROP INDEX job_business;

-- The functions run with the caller's own rights, under row-level security.

-- Asking for work: an array of objects with the columns of `job`, and when it is due. Returns the
-- rows that are new; asking twice for the same work changes nothing.
CREATE FUNCTION ask_for_jobs(asked jsonb)
RETURNS TABLE (id text, kind text, queue text, business_id bigint, dispatch_no int) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    INSERT INTO job (id, business_id, kind, version, payload, queue, urgency, lane, due_at, expires_at,
                     dispatch_no, dispatched_at)
    SELECT id, business_id, kind, version, payload, queue, urgency, lane,
           now() + due_in_s * interval '1 second', now() + (due_in_s + expires_after_s) * interval '1 second',
           CASE WHEN due_in_s = 0 THEN 1 ELSE 0 END, CASE WHEN due_in_s = 0 THEN now() END
    FROM jsonb_to_recordset(asked) AS one (
        id text, business_id bigint, kind text, version int, payload jsonb, queue text, urgency smallint,
        lane text, due_in_s float8, expires_after_s float8)
    ON CONFLICT (id) DO NOTHING
    RETURNING job.id, job.kind, job.queue, job.business_id, job.dispatch_no;
END $$;

-- The inbox: an array of events, each with the credential it came with and the job to ask for if it
-- is new. Returns the places in the array, from 1, of those whose own credential opens their channel,
-- and of those that are new.
CREATE FUNCTION receive_events(credentials text, businesses text, events jsonb, OUT accepted int[], OUT stored int[])
LANGUAGE plpgsql AS $$
DECLARE
    jobs jsonb;
BEGIN
    PERFORM set_config('prosaas.credentials', credentials, true), set_config('prosaas.businesses', businesses, true);
    WITH told AS MATERIALIZED (
        SELECT * FROM ROWS FROM (jsonb_to_recordset(events) AS (
            credential text, id uuid, business_id bigint, channel_id uuid, event_id text, lane text, payload jsonb,
            reason text, job jsonb)) WITH ORDINALITY
            AS one (credential, id, business_id, channel_id, event_id, lane, payload, reason, job, place)
    ), opened AS MATERIALIZED (
        SELECT token_digest AS credential, channel.business_id, channel.id AS channel_id FROM channel
        WHERE token_digest = ANY (string_to_array(credentials, ','))
    ), own AS MATERIALIZED (
        SELECT * FROM told JOIN opened USING (credential, business_id, channel_id)
    ), new AS (
        INSERT INTO inbox_event (id, business_id, channel_id, event_id, lane, payload, reason)
        SELECT id, business_id, channel_id, event_id, lane, payload, reason FROM own
        -- In one order everywhere, so that two transactions with the same events cannot deadlock.
        ORDER BY business_id, channel_id, event_id
        ON CONFLICT (business_id, channel_id, event_id) DO NOTHING
        RETURNING inbox_event.id
    )
    SELECT array_agg(own.place), array_agg(own.place) FILTER (WHERE new.id IS NOT NULL),
           jsonb_agg(own.job) FILTER (WHERE new.id IS NOT NULL)
    INTO accepted, stored, jobs
    -- FULL, though every new one is among our own: the planner expects one row of each, and would
    -- compare thousands with thousands; a full join is never a loop within a loop.
    FROM own FULL JOIN new ON new.id = own.id;
    PERFORM ask_for_jobs(jobs);
    IF cardinality(accepted) > coalesce(cardinality(stored), 0) THEN
        -- The same id with other content is kept and flagged: a provider that reuses ids must be seen.
        INSERT INTO inbox_conflict (business_id, inbox_event_id, payload, payload_hash)
        SELECT event.business_id, event.id, told.payload, sha256(convert_to(told.payload::text, 'UTF8'))
        FROM jsonb_to_recordset(events) AS told (
            credential text, channel_id uuid, event_id text, payload jsonb)
        JOIN channel ON channel.id = told.channel_id AND channel.token_digest = told.credential
        -- Without its business, which the channel implies: a planner that knows nothing of the table
        -- yet would take the index by age for it, and read all of a business's events for each.
        JOIN inbox_event AS event ON event.channel_id = told.channel_id AND event.event_id = told.event_id
        WHERE event.payload <> told.payload
        ORDER BY event.id
        ON CONFLICT (inbox_event_id, payload_hash) DO NOTHING;
    END IF;
END $$;
