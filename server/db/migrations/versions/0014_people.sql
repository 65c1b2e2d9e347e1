-- A contact has many names. What they merely told (an address, a phone, a username) proves nothing and stands
-- beside the names; `revision` grows when contacts are merged or parted, so that who waited for it looks again.
ALTER TABLE contact_identity DROP CONSTRAINT contact_identity_kind_check;
ALTER TABLE contact_identity ADD CHECK (kind IN ('phone', 'lid', 'business_scoped_id', 'username', 'email'));
ALTER TABLE contact
    ADD COLUMN email text CHECK (length(email) <= 320),
    ADD COLUMN told_phone text CHECK (length(told_phone) <= 20),
    ADD COLUMN username text CHECK (length(username) <= 100),
    ADD COLUMN city text CHECK (length(city) <= 200),
    ADD COLUMN revision bigint NOT NULL DEFAULT 0;
CREATE INDEX contact_email ON contact (business_id, email) WHERE email IS NOT NULL;
CREATE INDEX contact_told_phone ON contact (business_id, told_phone) WHERE told_phone IS NOT NULL;
CREATE INDEX contact_username ON contact (business_id, username) WHERE username IS NOT NULL;

-- Merging. `kept` holds the rows that a merge took away, the parts name every row that it moved: with both it
-- can be undone. The ids in it outlive the rows they name.
CREATE TABLE contact_merge (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    survivor_id uuid NOT NULL,
    loser_id uuid NOT NULL,
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 200),
    made_by text NOT NULL CHECK (length(made_by) BETWEEN 1 AND 200),
    kept jsonb NOT NULL DEFAULT '{}',
    made_at timestamptz NOT NULL DEFAULT now(),
    undone_at timestamptz,
    undone_by text,
    CHECK ((undone_at IS NULL) = (undone_by IS NULL))
);
CREATE INDEX contact_merge_survivor ON contact_merge (survivor_id, made_at);
CREATE INDEX contact_merge_loser ON contact_merge (loser_id, made_at);
CREATE TABLE contact_merge_part (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    merge_id uuid NOT NULL REFERENCES contact_merge,
    table_name text NOT NULL,
    row_id uuid NOT NULL,
    from_id uuid NOT NULL,
    to_id uuid NOT NULL
);
CREATE INDEX contact_merge_part_merge ON contact_merge_part (merge_id, table_name, from_id);
-- Where a conversation went that is no more: whoever still holds its id finds the one it became.
CREATE TABLE conversation_moved (
    from_id uuid PRIMARY KEY,
    business_id bigint NOT NULL REFERENCES business,
    to_id uuid NOT NULL,
    merge_id uuid NOT NULL REFERENCES contact_merge
);
CREATE INDEX conversation_moved_merge ON conversation_moved (merge_id);
-- Two contacts of which a person said that they are not one.
CREATE TABLE contact_distinct (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    one_id uuid NOT NULL,
    other_id uuid NOT NULL,
    said_by text NOT NULL,
    said_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (one_id, other_id),
    CHECK (one_id < other_id)
);

CREATE FUNCTION live_conversation(asked uuid) RETURNS uuid LANGUAGE sql STABLE
    RETURN (WITH RECURSIVE way AS (
        SELECT asked AS id, 0 AS step
        UNION ALL
        SELECT moved.to_id, way.step + 1 FROM way JOIN conversation_moved AS moved ON moved.from_id = way.id
        WHERE way.step < 100)
    SELECT id FROM way ORDER BY step DESC LIMIT 1);
CREATE FUNCTION live_contact(asked uuid) RETURNS uuid LANGUAGE sql STABLE
    RETURN (WITH RECURSIVE way AS (
        SELECT asked AS id, 0 AS step
        UNION ALL
        SELECT merge.survivor_id, way.step + 1 FROM way
        JOIN contact_merge AS merge ON merge.loser_id = way.id AND merge.undone_at IS NULL
        WHERE way.step < 100)
    SELECT id FROM way ORDER BY step DESC LIMIT 1);

-- A message that is stored while its conversation is merged away goes where the conversation went; an answer
-- goes where the message is that it answers.
CREATE FUNCTION place_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.answers_message_id IS NOT NULL THEN
        SELECT conversation_id INTO NEW.conversation_id FROM message WHERE id = NEW.answers_message_id;
    END IF;
    PERFORM FROM conversation WHERE id = NEW.conversation_id FOR KEY SHARE;
    IF NOT FOUND THEN
        NEW.conversation_id := live_conversation(NEW.conversation_id);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER place_message BEFORE INSERT ON message FOR EACH ROW EXECUTE FUNCTION place_message();

-- Consent: what was said, when, in which words. Rows are added and never changed; a merge moves them.
CREATE TABLE consent (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    position bigint GENERATED ALWAYS AS IDENTITY,
    business_id bigint NOT NULL REFERENCES business,
    contact_id uuid NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('marketing')),
    value text NOT NULL CHECK (value IN ('granted', 'withdrawn')),
    wording text NOT NULL CHECK (length(wording) <= 1000),
    source text NOT NULL CHECK (source IN ('message', 'provider', 'refusal', 'form', 'import', 'member', 'merge')),
    key text,
    merge_id uuid REFERENCES contact_merge,
    at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (business_id, key),
    FOREIGN KEY (business_id, contact_id) REFERENCES contact (business_id, id)
);
CREATE INDEX consent_contact ON consent (contact_id, purpose, at DESC, position DESC);

-- The pipeline. A business's stages are made when they are first needed; a lead without one is in the first.
CREATE TABLE lead_stage (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
    sort text NOT NULL DEFAULT 'open' CHECK (sort IN ('open', 'won', 'lost')),
    colour text NOT NULL DEFAULT 'grey' CHECK (colour IN ('grey', 'blue', 'green', 'yellow', 'orange', 'red', 'purple')),
    place int NOT NULL,
    archived_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (business_id, id)
);
CREATE INDEX lead_stage_place ON lead_stage (business_id, place);
ALTER TABLE lead
    ADD COLUMN stage_id uuid,
    ADD COLUMN title text CHECK (length(title) <= 300),
    ADD COLUMN value_minor bigint CHECK (value_minor >= 0),
    ADD COLUMN currency text CHECK (currency ~ '^[A-Z]{3}$'),
    ADD COLUMN owner_id uuid REFERENCES user_account,
    ADD COLUMN stage_at timestamptz NOT NULL DEFAULT now(),
    ADD FOREIGN KEY (business_id, stage_id) REFERENCES lead_stage (business_id, id);
CREATE INDEX lead_of_stage ON lead (business_id, stage_id, last_contact_at DESC);
CREATE TABLE lead_activity (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    position bigint GENERATED ALWAYS AS IDENTITY,
    business_id bigint NOT NULL REFERENCES business,
    contact_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('created', 'stage', 'note', 'details', 'form', 'import', 'merged', 'parted', 'consent')),
    actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
    text text CHECK (length(text) <= 10000),
    data jsonb NOT NULL DEFAULT '{}',
    key text,
    at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (business_id, key),
    FOREIGN KEY (business_id, contact_id) REFERENCES contact (business_id, id)
);
CREATE INDEX lead_activity_contact ON lead_activity (contact_id, position DESC);
CREATE INDEX lead_activity_order ON lead_activity (business_id, position);

-- Forms of web sites that post leads: known by the digest of their secret, as channels are.
CREATE TABLE lead_form (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    token_digest text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    UNIQUE (business_id, id)
);
CREATE TABLE lead_delivery (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    form_id uuid NOT NULL,
    dedup_key text NOT NULL,
    body jsonb NOT NULL,
    state text NOT NULL DEFAULT 'stored' CHECK (state IN ('stored', 'done', 'unreadable')),
    reason text,
    received_at timestamptz NOT NULL DEFAULT now(),
    processed_at timestamptz,
    FOREIGN KEY (business_id, form_id) REFERENCES lead_form (business_id, id)
);
CREATE INDEX lead_delivery_dedup ON lead_delivery (form_id, dedup_key, received_at DESC);
CREATE INDEX lead_delivery_age ON lead_delivery (business_id, received_at);

-- Leads from a file: the file's rows as they were read, each with what became of it.
CREATE TABLE lead_import (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    file_name text NOT NULL CHECK (length(file_name) <= 300),
    content bytea,
    mapping jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'uploaded' CHECK (state IN ('uploaded', 'running', 'done', 'unreadable')),
    reason text,
    made_by text NOT NULL,
    job_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    UNIQUE (business_id, id)
);
CREATE INDEX lead_import_business ON lead_import (business_id, created_at DESC);
CREATE TABLE lead_import_row (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    import_id uuid NOT NULL,
    line int NOT NULL,
    fields jsonb NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'added', 'known', 'bad')),
    reason text,
    UNIQUE (import_id, line),
    FOREIGN KEY (business_id, import_id) REFERENCES lead_import (business_id, id) ON DELETE CASCADE
);
CREATE INDEX lead_import_row_state ON lead_import_row (import_id, state, line);

DO $$
DECLARE table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['contact_merge', 'contact_merge_part', 'conversation_moved', 'contact_distinct',
        'consent', 'lead_stage', 'lead_activity', 'lead_form', 'lead_delivery', 'lead_import', 'lead_import_row'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (business_id = ANY ((SELECT current_businesses())::bigint[]))',
            table_name);
    END LOOP;
END $$;
CREATE POLICY credential ON lead_form FOR SELECT USING (token_digest = ANY ((SELECT current_credentials())::text[]));

-- The ledgers are added to and never rewritten: a merge may move their rows to the contact that stays.
GRANT SELECT, INSERT ON consent, lead_activity TO prosaas_api, prosaas_worker;
GRANT UPDATE (contact_id) ON consent, lead_activity TO prosaas_api, prosaas_worker;
GRANT SELECT, INSERT ON contact_merge, contact_merge_part, contact_distinct TO prosaas_api, prosaas_worker;
GRANT UPDATE (kept, undone_at, undone_by) ON contact_merge TO prosaas_api, prosaas_worker;
GRANT SELECT, INSERT, DELETE ON conversation_moved TO prosaas_api, prosaas_worker;
GRANT SELECT, INSERT, UPDATE ON lead_stage, lead_form TO prosaas_api, prosaas_worker;
GRANT SELECT, INSERT ON lead_delivery TO prosaas_api;
GRANT SELECT, UPDATE, DELETE ON lead_delivery TO prosaas_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON lead_import, lead_import_row TO prosaas_api, prosaas_worker;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO prosaas_api, prosaas_worker;
