-- What a bridge last said of its own connection to WhatsApp, and when; unknown where it has said nothing yet.
ALTER TABLE channel
    ADD COLUMN connection text NOT NULL DEFAULT 'unknown'
        CHECK (connection IN ('unknown', 'connected', 'disconnected')),
    ADD COLUMN connection_reason text CHECK (length(connection_reason) <= 40),
    ADD COLUMN connection_at timestamptz;
