-- The inbox, faster: columns instead of one JSON of everything, so that a payload is parsed once and nothing is
-- built twice; and a job is written as it stays, whether or not its business has a place in its queue.
-- receive_events() stays for the code of before.

-- Events are told by columns, each with its door (a place, from 1, in the lists of doors: the credential it came
-- with, its business, its channel) and the job to ask for if it is new; `straight` says which jobs go to their
-- queue at once. Returns the doors that are open, and the places of the events that are new, from 1.
-- It runs with the caller's own rights, under row-level security.
CREATE FUNCTION take_in_events(
    credentials text, businesses text,
    door_credentials text[], door_businesses bigint[], door_channels uuid[],
    ids uuid[], doors int[], event_ids text[], lanes text[], payloads jsonb[], reasons text[],
    job_ids text[], job_payloads jsonb[], straight boolean[],
    job_kind text, job_version int, job_queue text, job_urgency smallint, job_expires_after_s float8,
    OUT opened int[], OUT stored int[])
LANGUAGE plpgsql AS $$
DECLARE
    ignored text;
BEGIN
    -- Assigned, since that needs no statement.
    ignored := set_config('prosaas.credentials', credentials, true);
    ignored := set_config('prosaas.businesses', businesses, true);
    WITH door AS MATERIALIZED (
        SELECT told.place
        FROM unnest(door_credentials, door_businesses, door_channels)
            WITH ORDINALITY AS told (credential, business_id, channel_id, place)
        JOIN channel ON channel.id = told.channel_id AND channel.business_id = told.business_id
            AND channel.token_digest = told.credential
    ), own AS MATERIALIZED (
        SELECT told.*, door_businesses[told.door] AS business_id, door_channels[told.door] AS channel_id
        FROM unnest(ids, doors, event_ids, lanes, payloads, reasons, job_ids, job_payloads, straight)
            WITH ORDINALITY AS told (id, door, event_id, lane, payload, reason, job_id, job_payload, straight, place)
        -- Within coalesce(), here and below, it is looked up by a hash and never becomes a join: the planner
        -- expects few rows of everything, and would compare thousands with thousands.
        WHERE coalesce(told.door IN (SELECT door.place FROM door), false)
    ), new AS (
        INSERT INTO inbox_event (id, business_id, channel_id, event_id, lane, payload, reason)
        SELECT own.id, own.business_id, own.channel_id, own.event_id, own.lane, own.payload, own.reason FROM own
        -- In one order everywhere, so that two transactions with the same events cannot deadlock.
        ORDER BY own.business_id, own.channel_id, own.event_id
        ON CONFLICT (business_id, channel_id, event_id) DO NOTHING
        RETURNING inbox_event.id
    ), fresh AS MATERIALIZED (
        SELECT own.* FROM own WHERE coalesce(own.id IN (SELECT new.id FROM new), false)
    ), asked AS (
        -- An event that is new has an id that is new, so its job is new as well.
        INSERT INTO job (id, business_id, kind, version, payload, queue, urgency, lane, due_at, expires_at,
                         dispatch_no, dispatched_at)
        SELECT fresh.job_id, fresh.business_id, job_kind, job_version, fresh.job_payload, job_queue, job_urgency,
               fresh.channel_id || ':' || fresh.lane, now(), now() + job_expires_after_s * interval '1 second',
               CASE WHEN fresh.straight THEN 1 ELSE 0 END, CASE WHEN fresh.straight THEN now() END
        FROM fresh ORDER BY fresh.place
    )
    SELECT (SELECT array_agg(door.place) FROM door), (SELECT array_agg(fresh.place) FROM fresh)
    INTO opened, stored;
    IF cardinality(ids) > coalesce(cardinality(stored), 0) THEN
        -- The same id with other content is kept and flagged: a provider that reuses ids must be seen.
        INSERT INTO inbox_conflict (business_id, inbox_event_id, payload, payload_hash)
        SELECT event.business_id, event.id, told.payload, sha256(convert_to(told.payload::text, 'UTF8'))
        FROM unnest(doors, event_ids, payloads) AS told (door, event_id, payload)
        -- Without its business, which the channel implies: a planner that knows nothing of the table
        -- yet would take the index by age for it, and read all of a business's events for each.
        JOIN inbox_event AS event ON event.channel_id = door_channels[told.door] AND event.event_id = told.event_id
        WHERE told.door = ANY (opened) AND event.payload <> told.payload
        ORDER BY event.id
        ON CONFLICT (inbox_event_id, payload_hash) DO NOTHING;
    END IF;
END $$;
