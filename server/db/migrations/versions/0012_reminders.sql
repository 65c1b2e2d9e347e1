-- A foreign key is checked past row-level security: what is about a conversation or a contact names its business too.
ALTER TABLE conversation ADD UNIQUE (business_id, id);
ALTER TABLE contact ADD UNIQUE (business_id, id);

-- What comes again and again: the text of its reminders, and the business's schedule that makes them.
CREATE TABLE reminder_series (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    schedule text NOT NULL,
    cron text NOT NULL,
    zone text NOT NULL,
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 1000),
    conversation_id uuid,
    contact_id uuid,
    made_by text NOT NULL CHECK (length(made_by) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL DEFAULT now(),
    stopped_at timestamptz,
    UNIQUE (business_id, id),
    FOREIGN KEY (business_id, conversation_id) REFERENCES conversation (business_id, id),
    FOREIGN KEY (business_id, contact_id) REFERENCES contact (business_id, id),
    CHECK (num_nonnulls(conversation_id, contact_id) <= 1)
);

-- raise_at is when it is to be looked at next; null once nothing of it is to come. A reminder that was made by
-- a series keeps the slot it stands for, wherever it is moved.
CREATE TABLE reminder (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 1000),
    conversation_id uuid,
    contact_id uuid,
    series_id uuid,
    slot timestamptz,
    due_at timestamptz NOT NULL,
    due_set_at timestamptz NOT NULL DEFAULT now(),
    raise_at timestamptz,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'cancelled')),
    made_by text NOT NULL CHECK (length(made_by) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    UNIQUE (business_id, id),
    UNIQUE (series_id, slot),
    FOREIGN KEY (business_id, conversation_id) REFERENCES conversation (business_id, id),
    FOREIGN KEY (business_id, contact_id) REFERENCES contact (business_id, id),
    FOREIGN KEY (business_id, series_id) REFERENCES reminder_series (business_id, id),
    CHECK (num_nonnulls(conversation_id, contact_id) <= 1),
    CHECK ((series_id IS NULL) = (slot IS NULL)),
    CHECK ((state = 'open') = (ended_at IS NULL)),
    CHECK (state = 'open' OR raise_at IS NULL)
);
CREATE INDEX reminder_raise ON reminder (raise_at) WHERE raise_at IS NOT NULL;
CREATE INDEX reminder_ended ON reminder (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX reminder_business ON reminder (business_id, due_at);

-- One row a reminder, due time and offset: what was raised is never raised again.
CREATE TABLE reminder_push_log (
    reminder_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    offset_min int NOT NULL CHECK (offset_min >= 0),
    business_id bigint NOT NULL REFERENCES business,
    state text NOT NULL CHECK (state IN ('raised', 'overdue', 'skipped')),
    reason text,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (reminder_id, due_at, offset_min),
    FOREIGN KEY (business_id, reminder_id) REFERENCES reminder (business_id, id) ON DELETE CASCADE,
    CHECK ((state = 'skipped') = (reason IS NOT NULL))
);

-- The file's name is its key and nothing else.
CREATE TABLE recording (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    storage_key uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX recording_kept ON recording (recorded_at, id) WHERE deleted_at IS NULL;
CREATE INDEX recording_business ON recording (business_id, recorded_at);

DO $$
DECLARE table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['reminder', 'reminder_series', 'reminder_push_log', 'recording'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (business_id = ANY ((SELECT current_businesses())::bigint[]))',
            table_name);
    END LOOP;
END $$;

-- People make reminders and end them; what was raised is written by who raises it. The scheduler reads none.
GRANT SELECT, INSERT, UPDATE ON reminder, reminder_series TO prosaas_api;
GRANT SELECT ON reminder_push_log, recording TO prosaas_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON reminder, reminder_series TO prosaas_worker;
GRANT SELECT, INSERT, DELETE ON reminder_push_log TO prosaas_worker;
GRANT SELECT, UPDATE ON recording TO prosaas_worker;
