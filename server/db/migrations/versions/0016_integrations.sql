-- Events told to others: where to, what happened, and how each telling went.
-- The older secret signs beside the newer one until its time has passed.
CREATE TABLE webhook_endpoint (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    url text NOT NULL CHECK (length(url) BETWEEN 1 AND 2000),
    description text NOT NULL DEFAULT '' CHECK (length(description) <= 200),
    events text[] NOT NULL CHECK (cardinality(events) BETWEEN 1 AND 50),
    secret_encrypted text NOT NULL,
    older_secret_encrypted text,
    older_secret_until timestamptz,
    state text NOT NULL DEFAULT 'on' CHECK (state IN ('on', 'off', 'gone', 'failing')),
    failing_since timestamptz,
    state_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (business_id, id)
);
-- What every event of the house asks: does anybody want it?
CREATE INDEX webhook_endpoint_on ON webhook_endpoint (business_id) WHERE state = 'on';

-- `key` says which happening it is: told twice, it is one event.
CREATE TABLE webhook_event (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    type text NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 300),
    data jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (business_id, id),
    UNIQUE (business_id, type, key)
);
CREATE INDEX webhook_event_age ON webhook_event (created_at);

-- `tries` numbers its jobs; a round is the tries since it was made, or since somebody had it told again.
CREATE TABLE webhook_delivery (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed')),
    tries int NOT NULL DEFAULT 1,
    round_from int NOT NULL DEFAULT 1,
    round_at timestamptz NOT NULL DEFAULT now(),
    next_at timestamptz,
    reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    UNIQUE (business_id, id),
    UNIQUE (endpoint_id, event_id),
    FOREIGN KEY (business_id, endpoint_id) REFERENCES webhook_endpoint (business_id, id) ON DELETE CASCADE,
    FOREIGN KEY (business_id, event_id) REFERENCES webhook_event (business_id, id) ON DELETE CASCADE
);
CREATE INDEX webhook_delivery_recent ON webhook_delivery (endpoint_id, created_at DESC);
CREATE INDEX webhook_delivery_event ON webhook_delivery (event_id);
CREATE INDEX webhook_delivery_failed ON webhook_delivery (endpoint_id, ended_at) WHERE state = 'failed';

-- One row for each time it was on its way; status is null where no answer came.
CREATE TABLE webhook_attempt (
    delivery_id uuid NOT NULL,
    number int NOT NULL,
    business_id bigint NOT NULL,
    status int,
    duration_ms int,
    error text,
    answer text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (delivery_id, number),
    FOREIGN KEY (business_id, delivery_id) REFERENCES webhook_delivery (business_id, id) ON DELETE CASCADE
);

-- What a program asked for under a key of its own: asked again, it gets the answer that it had.
CREATE TABLE api_request (
    business_id bigint NOT NULL REFERENCES business,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
    body_digest text NOT NULL,
    status int NOT NULL,
    answer jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (business_id, key)
);
CREATE INDEX api_request_age ON api_request (created_at);

DO $$
DECLARE table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY[
        'webhook_endpoint', 'webhook_event', 'webhook_delivery', 'webhook_attempt', 'api_request'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (business_id = ANY ((SELECT current_businesses())::bigint[]))',
            table_name);
    END LOOP;
END $$;

-- People say where events go and have them told again; what came of it is written by who tells it.
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_endpoint TO prosaas_api;
GRANT SELECT, INSERT ON webhook_event TO prosaas_api;
GRANT SELECT, INSERT, UPDATE ON webhook_delivery TO prosaas_api;
GRANT SELECT ON webhook_attempt TO prosaas_api;
GRANT SELECT, INSERT ON api_request TO prosaas_api;
GRANT SELECT, UPDATE ON webhook_endpoint TO prosaas_worker;
GRANT SELECT, INSERT, DELETE ON webhook_event TO prosaas_worker;
GRANT SELECT, INSERT, UPDATE ON webhook_delivery TO prosaas_worker;
GRANT SELECT, INSERT ON webhook_attempt TO prosaas_worker;
GRANT SELECT, DELETE ON api_request TO prosaas_worker;
