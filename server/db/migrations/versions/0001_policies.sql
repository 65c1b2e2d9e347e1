-- Row-level security, forced: the owner of a table is held by it as well.
DO $$
DECLARE table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY[
        'membership', 'login_session', 'entry_link', 'api_key', 'channel', 'contact', 'contact_identity',
        'conversation', 'conversation_session', 'message', 'lead', 'knowledge_entry', 'inbox_event',
        'inbox_conflict', 'job', 'job_attempt', 'job_audit', 'effect'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (business_id = ANY ((SELECT current_businesses())::bigint[]))',
            table_name);
    END LOOP;
END $$;

ALTER TABLE business ENABLE ROW LEVEL SECURITY;
ALTER TABLE business FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON business USING (id = ANY ((SELECT current_businesses())::bigint[]));
-- Whoever keeps time or cleans up must know which businesses there are, and nothing else of them.
CREATE POLICY every_business ON business FOR SELECT TO prosaas_worker, prosaas_scheduler USING (true);

-- Before a business is known, a row is found by its own credential, or by whose it is.
CREATE POLICY credential ON login_session FOR SELECT USING (token_digest = ANY ((SELECT current_credentials())::text[]));
CREATE POLICY credential ON entry_link FOR SELECT USING (token_digest = ANY ((SELECT current_credentials())::text[]));
CREATE POLICY credential ON api_key FOR SELECT USING (token_digest = ANY ((SELECT current_credentials())::text[]));
CREATE POLICY credential ON channel FOR SELECT USING (token_digest = ANY ((SELECT current_credentials())::text[]));
CREATE POLICY own ON membership FOR SELECT USING (user_id = (SELECT current_user_account()));

-- A person is seen by themselves, by the businesses they belong to, and, while they log in, by
-- whoever knows their address; only they may change what is kept about them.
ALTER TABLE user_account ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_account FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON user_account FOR SELECT USING (
    id = (SELECT current_user_account())
    OR encode(sha256(convert_to(email, 'UTF8')), 'hex') = ANY ((SELECT current_credentials())::text[])
    OR EXISTS (SELECT FROM membership WHERE membership.user_id = user_account.id));
CREATE POLICY made ON user_account FOR INSERT WITH CHECK (true);
CREATE POLICY own ON user_account FOR UPDATE USING (id = (SELECT current_user_account()));

-- The engine carries the work of all businesses, and some that belongs to none.
CREATE POLICY engine ON job TO prosaas_worker, prosaas_scheduler USING (true);
CREATE POLICY engine ON job_attempt TO prosaas_worker, prosaas_scheduler USING (true);
CREATE POLICY engine ON job_audit TO prosaas_worker, prosaas_scheduler USING (true);
CREATE POLICY engine ON effect TO prosaas_worker, prosaas_scheduler USING (true);

-- What each role may do at all.
GRANT USAGE ON SCHEMA public TO prosaas_api, prosaas_worker, prosaas_scheduler;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    business, user_account, membership, login_session, entry_link, api_key, channel, contact, contact_identity,
    conversation, conversation_session, message, lead, knowledge_entry TO prosaas_api, prosaas_worker;
GRANT SELECT, INSERT ON inbox_event, inbox_conflict TO prosaas_api;
GRANT SELECT, UPDATE, DELETE ON inbox_event, inbox_conflict TO prosaas_worker;
-- The api asks for work and sees how it goes; it cannot claim, finish or invent an outcome.
GRANT SELECT, INSERT ON job TO prosaas_api;
GRANT UPDATE (dispatched_at, dispatch_no) ON job TO prosaas_api;
GRANT SELECT ON job_attempt, job_audit, effect, schedule, schedule_slot TO prosaas_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON job, job_attempt, job_audit, effect TO prosaas_worker;
GRANT DELETE, SELECT ON schedule_slot TO prosaas_worker;
GRANT SELECT ON schedule TO prosaas_worker;
-- The scheduler keeps time and sweeps; it reads no message and no contact.
GRANT SELECT ON business TO prosaas_scheduler;
GRANT SELECT, INSERT, UPDATE ON job, job_attempt, job_audit TO prosaas_scheduler;
GRANT SELECT, UPDATE ON effect TO prosaas_scheduler;
GRANT SELECT, INSERT, UPDATE ON schedule, schedule_slot TO prosaas_scheduler;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO prosaas_api, prosaas_worker, prosaas_scheduler;
