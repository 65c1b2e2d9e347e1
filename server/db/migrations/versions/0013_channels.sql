-- Channels of several kinds. A Cloud number's name is Meta's id of it; what its webhooks are checked with is
-- encrypted, and its token is a key that only this installation can derive from the channel's id.
ALTER TABLE channel DROP CONSTRAINT channel_kind_check;
ALTER TABLE channel ADD CONSTRAINT channel_kind_check CHECK (kind IN ('whatsapp_bridge', 'whatsapp_cloud'));
ALTER TABLE channel
    ADD COLUMN account_id text NOT NULL DEFAULT '',
    ADD COLUMN settings jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN signing_secret_encrypted text NOT NULL DEFAULT '',
    ADD COLUMN verify_token_encrypted text NOT NULL DEFAULT '';

-- An edit or a deletion that came before its message: the event waits in the inbox, and is found by the
-- provider's id of the message that it changes.
CREATE TABLE early_change (
    inbox_event_id uuid PRIMARY KEY REFERENCES inbox_event ON DELETE CASCADE,
    business_id bigint NOT NULL REFERENCES business,
    channel_id uuid NOT NULL REFERENCES channel,
    target_id text NOT NULL CHECK (length(target_id) <= 300),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX early_change_target ON early_change (business_id, channel_id, target_id);
ALTER TABLE early_change ENABLE ROW LEVEL SECURITY;
ALTER TABLE early_change FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON early_change USING (business_id = ANY ((SELECT current_businesses())::bigint[]));
GRANT SELECT, INSERT, DELETE ON early_change TO prosaas_worker;

ALTER TABLE provider_account ADD COLUMN held_at timestamptz;

-- Why accounts are held until their owner acts, for pages: of the accounts that are named, and nothing else of
-- them. It runs with its owner's rights, for the api may not read the breakers.
CREATE FUNCTION held_accounts(of_provider text, names text[])
RETURNS TABLE (name text, meaning text, since timestamptz) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public AS $$
    SELECT account.name, substr(account.reason, 6), account.held_at FROM provider_account AS account
    WHERE account.provider = of_provider AND account.name = ANY (names) AND account.reason LIKE 'held:%'
    ORDER BY account.name LIMIT 1000
$$;
REVOKE ALL ON FUNCTION held_accounts(text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION held_accounts(text, text[]) TO prosaas_api, prosaas_worker;
