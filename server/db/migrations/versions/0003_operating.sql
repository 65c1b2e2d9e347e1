-- What an operator may do to running work: cancel it, pause a sort of it, and look at what went wrong.

ALTER TABLE job ADD COLUMN cancel_asked_at timestamptz;

-- Work that is neither dispatched nor claimed until somebody resumes it. Rows stay: who, when and why.
CREATE TABLE job_pause (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sort text NOT NULL CHECK (sort IN ('kind', 'queue', 'business')),
    name text NOT NULL,
    reason text NOT NULL,
    paused_by text NOT NULL,
    paused_at timestamptz NOT NULL DEFAULT now(),
    resumed_by text,
    resumed_at timestamptz
);
CREATE UNIQUE INDEX job_pause_open ON job_pause (sort, name) WHERE resumed_at IS NULL;

-- The few that need a person, however many ended well; and those whose time may pass.
CREATE INDEX job_ended_badly ON job (finished_at) WHERE state IN ('failed', 'quarantined', 'expired', 'cancelled');
CREATE INDEX job_expires ON job (expires_at) WHERE state = 'ready' AND expires_at IS NOT NULL;

GRANT SELECT ON job_pause TO prosaas_worker;
GRANT SELECT, INSERT, UPDATE ON job_pause TO prosaas_scheduler;
GRANT USAGE ON SEQUENCE job_pause_id_seq TO prosaas_scheduler;
