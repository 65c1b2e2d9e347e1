-- What the assistant may do and has cost. A business without a row has the defaults.
CREATE TABLE business_assistant (
    business_id bigint PRIMARY KEY REFERENCES business,
    about text NOT NULL DEFAULT '',
    tone text NOT NULL DEFAULT '',
    instructions text NOT NULL DEFAULT '',
    -- {"mon": [["09:00", "17:00"]], ...}: a day without times is closed; {} says nothing of any day.
    hours jsonb NOT NULL DEFAULT '{}',
    -- [{"from": "2026-12-24", "to": "2026-12-26", "times": [], "note": "holiday"}, ...]
    exceptions jsonb NOT NULL DEFAULT '[]',
    keeps_scope boolean NOT NULL DEFAULT true,
    tools text[] NOT NULL DEFAULT
        '{save_contact_details,update_lead,set_reminder,hand_over_to_person,look_up_knowledge}',
    needs_approval boolean NOT NULL DEFAULT false,
    quiet_s double precision NOT NULL DEFAULT 2 CHECK (quiet_s BETWEEN 0 AND 60),
    session_idle_h int NOT NULL DEFAULT 24 CHECK (session_idle_h BETWEEN 1 AND 720),
    -- Millionths of a US dollar; NULL for no cap.
    monthly_cap_micro bigint CHECK (monthly_cap_micro >= 0),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- One row a tool that was called for a message: written in the transaction that did it, so never done twice.
CREATE TABLE assistant_tool_call (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    -- Where it was called; after a merge of conversations a row may name the one that is gone.
    conversation_id uuid NOT NULL,
    message_id uuid NOT NULL REFERENCES message ON DELETE CASCADE,
    tool text NOT NULL,
    ordinal int NOT NULL,
    arguments jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('done', 'refused')),
    result text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (message_id, tool, ordinal)
);
CREATE INDEX assistant_tool_call_recent ON assistant_tool_call (conversation_id, at);

-- What a model was asked and cost; cost in millionths of a US dollar. Counted, never added up in a row.
CREATE TABLE assistant_use (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    message_id uuid,
    purpose text NOT NULL CHECK (purpose IN ('reply', 'summary', 'trial')),
    model text NOT NULL,
    input_tokens bigint NOT NULL CHECK (input_tokens >= 0),
    output_tokens bigint NOT NULL CHECK (output_tokens >= 0),
    cost_micro bigint NOT NULL CHECK (cost_micro >= 0),
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX assistant_use_month ON assistant_use (business_id, at) INCLUDE (cost_micro);

-- What its owner should know of the assistant; one row a kind and period, however often it happened.
CREATE TABLE assistant_notice (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    kind text NOT NULL CHECK (kind IN ('model_down', 'model_refused', 'capped', 'false_claim', 'tool_failed')),
    period date NOT NULL,
    message_id uuid REFERENCES message ON DELETE SET NULL,
    times int NOT NULL DEFAULT 1 CHECK (times > 0),
    detail text NOT NULL DEFAULT '',
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz,
    UNIQUE (business_id, kind, period)
);

-- A question somebody of the business put to the assistant, to see what it would answer.
CREATE TABLE assistant_trial (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    asked_by uuid NOT NULL,
    question text NOT NULL,
    answer text,
    details jsonb NOT NULL DEFAULT '{}',
    asked_at timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz
);
CREATE INDEX assistant_trial_recent ON assistant_trial (business_id, asked_at);

DO $$
DECLARE table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY[
        'business_assistant', 'assistant_tool_call', 'assistant_use', 'assistant_notice', 'assistant_trial'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (business_id = ANY ((SELECT current_businesses())::bigint[]))',
            table_name);
    END LOOP;
END $$;

-- People say how it behaves and see what it did; what it did and cost is written by who does it.
GRANT SELECT, INSERT, UPDATE ON business_assistant TO prosaas_api;
GRANT SELECT ON assistant_tool_call, assistant_use TO prosaas_api;
GRANT SELECT ON assistant_notice TO prosaas_api;
GRANT UPDATE (seen_at) ON assistant_notice TO prosaas_api;
GRANT SELECT, INSERT ON assistant_trial TO prosaas_api;
GRANT SELECT ON business_assistant TO prosaas_worker;
GRANT SELECT, INSERT, UPDATE ON assistant_tool_call, assistant_notice TO prosaas_worker;
GRANT SELECT, INSERT ON assistant_use TO prosaas_worker;
GRANT SELECT, UPDATE, DELETE ON assistant_trial TO prosaas_worker;
