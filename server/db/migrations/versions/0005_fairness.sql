-- What waits outside Redis: by its time, and so that the first job of each business is one step away.
-- Then what was handed to Redis and not claimed yet.
CREATE INDEX job_waiting_due ON job (due_at) WHERE state = 'ready' AND dispatched_at IS NULL;
CREATE INDEX job_waiting ON job (urgency, coalesce(business_id, 0), due_at, seq)
    WHERE state = 'ready' AND dispatched_at IS NULL;
CREATE INDEX job_dispatched ON job (dispatched_at) WHERE state = 'ready' AND dispatched_at IS NOT NULL;
DROP INDEX job_due;
