-- People answer beside the assistant. Its reason says who made a pause, so that one made by mistake is lifted alone.
ALTER TABLE conversation
    ADD pause_reason text CHECK (pause_reason IN ('phone', 'inbox', 'hand')),
    ADD taken_by uuid REFERENCES user_account,
    ADD resumed_at timestamptz,
    ADD needs_approval boolean,
    ADD read_position bigint NOT NULL DEFAULT 0,
    ADD window_closed_at timestamptz,
    ADD unreachable_at timestamptz,
    ADD capped_at timestamptz;
ALTER TABLE business
    ADD takeover_minutes bigint NOT NULL DEFAULT 30 CHECK (takeover_minutes BETWEEN 1 AND 10080),
    ADD shows_reading boolean NOT NULL DEFAULT true;

-- client_key is the asker's name for what it wants sent: the same twice is one message.
ALTER TABLE message ADD client_key text CHECK (length(client_key) BETWEEN 1 AND 200);
CREATE UNIQUE INDEX message_client ON message (business_id, client_key) WHERE client_key IS NOT NULL;
ALTER TABLE message DROP CONSTRAINT message_author_check;
ALTER TABLE message ADD CONSTRAINT message_author_check
    CHECK (author IN ('customer', 'assistant', 'person', 'api')) NOT VALID;

-- What the assistant would answer, for a person to decide on. A conversation has one that is open at most.
CREATE TABLE suggestion (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    conversation_id uuid NOT NULL,
    message_id uuid NOT NULL UNIQUE REFERENCES message,
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 10000),
    sources jsonb NOT NULL DEFAULT '[]',
    details jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'sent', 'discarded', 'stale')),
    decided_by uuid REFERENCES user_account,
    decided_at timestamptz,
    sent_message_id uuid REFERENCES message,
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (business_id, conversation_id) REFERENCES conversation (business_id, id),
    CHECK ((state = 'open') = (decided_at IS NULL))
);
CREATE UNIQUE INDEX suggestion_open ON suggestion (conversation_id) WHERE state = 'open';

-- Words that may be sent by name: a provider's templates of one channel, and the business's own quick replies.
CREATE TABLE message_template (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    channel_id uuid REFERENCES channel,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 512),
    language text NOT NULL DEFAULT '' CHECK (length(language) <= 20),
    category text NOT NULL DEFAULT '' CHECK (length(category) <= 40),
    status text NOT NULL DEFAULT 'own' CHECK (length(status) BETWEEN 1 AND 40),
    reason text,
    body text NOT NULL CHECK (length(body) BETWEEN 1 AND 4096),
    variables bigint NOT NULL DEFAULT 0 CHECK (variables BETWEEN 0 AND 50),
    buttons jsonb NOT NULL DEFAULT '[]',
    synced_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX message_template_own ON message_template (business_id, name) WHERE channel_id IS NULL;
CREATE UNIQUE INDEX message_template_name ON message_template (channel_id, name, language)
    WHERE channel_id IS NOT NULL;

DO $$
DECLARE table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['suggestion', 'message_template'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (business_id = ANY ((SELECT current_businesses())::bigint[]))',
            table_name);
    END LOOP;
END $$;
GRANT SELECT, UPDATE ON suggestion TO prosaas_api;
GRANT SELECT, INSERT, UPDATE ON suggestion TO prosaas_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON message_template TO prosaas_api, prosaas_worker;

-- Stop looking for what became of a sending, because the member sends it again whatever became of it. With the
-- rights of the role that puts work right, as in 0007; tell whether it was still unknown.
CREATE FUNCTION abandon_own_effect(left_key text) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH member AS (
        SELECT 'member ' || current_user_account() AS name
    ), given_up AS (
        UPDATE effect SET state = 'abandoned', settled_at = now(), reason = format('sent again by %s', member.name)
        FROM member
        WHERE key = left_key AND business_id = ANY (current_businesses()) AND state = 'unknown'
          AND member.name IS NOT NULL
        RETURNING key, job_id, effect.business_id, member.name AS actor
    ), audit AS (
        INSERT INTO job_audit (job_id, business_id, from_state, to_state, actor, reason)
        SELECT job.id, given_up.business_id, 'unknown', 'abandoned', actor, format('effect %s: sent again', key)
        FROM given_up JOIN job ON job.id = given_up.job_id
    )
    SELECT EXISTS (SELECT FROM given_up)
$$;
REVOKE EXECUTE ON FUNCTION abandon_own_effect FROM PUBLIC;
GRANT EXECUTE ON FUNCTION abandon_own_effect TO prosaas_api;
GRANT CREATE ON SCHEMA public TO prosaas_scheduler;
ALTER FUNCTION abandon_own_effect OWNER TO prosaas_scheduler;
REVOKE CREATE ON SCHEMA public FROM prosaas_scheduler;
