ALTER TABLE message ADD UNIQUE (business_id, id);

-- A file of a message, or one that a person has chosen and not sent yet. In the storage it is found by its id
-- and nothing else. is_held: the storage may hold something under this id, for which cleaning up asks no one.
CREATE TABLE media_file (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    business_id bigint NOT NULL REFERENCES business,
    message_id uuid UNIQUE,
    kind text NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'voice', 'document', 'sticker')),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'stored', 'refused', 'gone', 'removed')),
    reason text,
    tries bigint NOT NULL DEFAULT 0,
    is_held boolean NOT NULL DEFAULT false,
    file_name text,
    mimetype_told text,
    mimetype text,
    size_bytes bigint CHECK (size_bytes >= 0),
    sha256 text,
    width bigint,
    height bigint,
    duration_s bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    state_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (business_id, id),
    FOREIGN KEY (business_id, message_id) REFERENCES message (business_id, id) ON DELETE SET NULL (message_id),
    CHECK (state <> 'stored' OR (mimetype IS NOT NULL AND size_bytes IS NOT NULL AND sha256 IS NOT NULL AND is_held)),
    CHECK ((state IN ('refused', 'gone', 'removed')) = (reason IS NOT NULL))
);
CREATE INDEX media_file_held ON media_file (created_at, id) WHERE is_held;
CREATE INDEX media_file_business ON media_file (business_id, created_at);

-- Reactions are shown under the message that they name.
CREATE INDEX message_reaction ON message (conversation_id, (details ->> 'target')) WHERE kind = 'reaction';

ALTER TABLE media_file ENABLE ROW LEVEL SECURITY;
ALTER TABLE media_file FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON media_file USING (business_id = ANY ((SELECT current_businesses())::bigint[]));
-- Only the worker forgets what the storage may hold.
GRANT SELECT, INSERT, UPDATE ON media_file TO prosaas_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON media_file TO prosaas_worker;
