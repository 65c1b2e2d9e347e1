-- A schedule is data, whoever owns it: the installation (no business) or a business. The scheduler of before
-- knows names and watermarks alone, and goes on with them.
ALTER TABLE schedule
    ADD business_id bigint REFERENCES business,
    ADD label text CHECK (length(label) BETWEEN 1 AND 200),
    ADD kind text,
    ADD version int NOT NULL DEFAULT 1,
    ADD payload jsonb NOT NULL DEFAULT '{}',
    ADD cron text CHECK (length(cron) BETWEEN 1 AND 100),
    ADD zone text CHECK (length(zone) BETWEEN 1 AND 64),
    ADD catch_up text CHECK (catch_up IN ('all', 'latest', 'none')),
    ADD longest_age_s int CHECK (longest_age_s > 0),
    -- The first slot after the watermark; null where none is to come.
    ADD next_slot timestamptz,
    -- Why no slot can be told or enqueued; a change of the schedule clears it.
    ADD trouble text,
    ADD paused_at timestamptz,
    ADD paused_by text,
    ADD pause_reason text,
    -- Counts changes, so that a slot is never recorded by what was read before one.
    ADD revision int NOT NULL DEFAULT 0;
CREATE INDEX schedule_next ON schedule (next_slot) WHERE next_slot IS NOT NULL;
CREATE INDEX schedule_business ON schedule (business_id);

-- Null unless a person asked for the run, at a moment that is no slot of its schedule.
ALTER TABLE schedule_slot ADD business_id bigint, ADD asked_by text;
ALTER TABLE schedule_slot DROP CONSTRAINT schedule_slot_schedule_fkey;
ALTER TABLE schedule_slot ADD CONSTRAINT schedule_slot_schedule_fkey
    FOREIGN KEY (schedule) REFERENCES schedule ON DELETE CASCADE;
CREATE INDEX schedule_slot_skipped ON schedule_slot (schedule, slot) WHERE state = 'skipped';

-- What people did to schedules; kept when a schedule is gone.
CREATE TABLE schedule_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schedule text NOT NULL,
    business_id bigint,
    deed text NOT NULL CHECK (deed IN ('made', 'changed', 'removed', 'paused', 'resumed', 'run')),
    actor text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX schedule_audit_schedule ON schedule_audit (schedule, at);

DO $$
DECLARE table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['schedule', 'schedule_slot', 'schedule_audit'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (business_id = ANY ((SELECT current_businesses())::bigint[]))',
            table_name);
        EXECUTE format('CREATE POLICY engine ON %I TO prosaas_worker, prosaas_scheduler USING (true)', table_name);
    END LOOP;
END $$;
-- The installation's own timetable is no secret of anybody's.
CREATE POLICY house ON schedule FOR SELECT USING (business_id IS NULL);
CREATE POLICY house ON schedule_slot FOR SELECT USING (business_id IS NULL);

-- A business keeps its own schedules; the wall above holds it off every other. The worker keeps no time.
GRANT INSERT, DELETE ON schedule TO prosaas_api;
GRANT UPDATE (label, version, payload, cron, zone, catch_up, longest_age_s, watermark, next_slot, trouble,
              paused_at, paused_by, pause_reason, revision, updated_at) ON schedule TO prosaas_api;
GRANT INSERT ON schedule_slot TO prosaas_api;
GRANT SELECT, INSERT ON schedule_audit TO prosaas_api, prosaas_scheduler;

-- Record the slots of many schedules with their jobs, in one statement of its caller: nobody who is frozen can
-- hold a schedule meanwhile. A schedule that was changed or recorded since it was read is left as it is. `told`
-- is an array of objects: name, revision, the watermark as it was read, watermark and next_slot as they become,
-- and the slots, each with the job to ask for or the reason why not. Returns the slots that are new, with
-- their jobs where these are new.
CREATE FUNCTION record_slots(told jsonb)
RETURNS TABLE (schedule text, slot timestamptz, is_skipped boolean,
               id text, kind text, queue text, business_id bigint, dispatch_no int) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    kept jsonb;
BEGIN
    WITH one AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(told) AS one (
            name text, revision int, was timestamptz, watermark timestamptz, next_slot timestamptz, slots jsonb)
    ), mine AS MATERIALIZED (
        -- Whoever else is at one of them records it.
        SELECT schedule.name FROM one JOIN schedule USING (name, revision)
        WHERE schedule.watermark = one.was ORDER BY schedule.name FOR UPDATE OF schedule SKIP LOCKED
    ), moved AS (
        UPDATE schedule SET watermark = one.watermark, next_slot = one.next_slot, updated_at = now()
        FROM one JOIN mine USING (name) WHERE schedule.name = one.name
        RETURNING schedule.name, schedule.business_id, one.slots
    ), given AS MATERIALIZED (
        SELECT moved.name, moved.business_id, slot.*
        FROM moved CROSS JOIN LATERAL jsonb_to_recordset(moved.slots) AS slot (at timestamptz, reason text, job jsonb)
    ), recorded AS (
        INSERT INTO schedule_slot (schedule, slot, state, job_id, reason, business_id)
        SELECT name, at, CASE WHEN job IS NULL THEN 'skipped' ELSE 'enqueued' END, job ->> 'id', reason, business_id
        FROM given
        ON CONFLICT (schedule, slot) DO NOTHING
        RETURNING schedule_slot.schedule, schedule_slot.slot
    )
    SELECT jsonb_agg(jsonb_build_object('name', name, 'at', at, 'job', job)) INTO kept
    FROM given JOIN recorded ON recorded.schedule = given.name AND recorded.slot = given.at;
    RETURN QUERY
    SELECT one.name, one.at, one.job IS NULL, asked.id, asked.kind, asked.queue, asked.business_id, asked.dispatch_no
    FROM jsonb_to_recordset(kept) AS one (name text, at timestamptz, job jsonb)
    LEFT JOIN ask_for_jobs((SELECT jsonb_agg(given -> 'job') FROM jsonb_array_elements(kept) AS given
                            WHERE given ? 'job' AND given ->> 'job' IS NOT NULL)) AS asked
        ON asked.id = one.job ->> 'id'
    ORDER BY one.name, one.at;
END $$;

-- The installation's jobs are its own; how one ended is no secret, and stands beside its slot on a page.
CREATE FUNCTION house_job_state(of_job text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT state FROM job WHERE id = of_job AND business_id IS NULL
$$;
REVOKE EXECUTE ON FUNCTION house_job_state FROM PUBLIC;
GRANT EXECUTE ON FUNCTION house_job_state TO prosaas_api, prosaas_scheduler;
GRANT CREATE ON SCHEMA public TO prosaas_scheduler;
ALTER FUNCTION house_job_state OWNER TO prosaas_scheduler;
REVOKE CREATE ON SCHEMA public FROM prosaas_scheduler;
