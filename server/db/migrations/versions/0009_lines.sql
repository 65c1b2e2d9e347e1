-- What waits outside Redis, line by line: the first job of each is one step away. Only what is held back has
-- an entry, so that work which goes straight to Redis pays nothing for it. The condition is worded unlike
-- that of job_waiting_due: a planner that believes that nothing waits, as after a burst, takes either index
-- for the other, and sorts all that waits once a step.
CREATE INDEX job_line ON job (urgency, coalesce(business_id, 0), queue, kind, due_at, seq)
    WHERE state = 'ready' AND coalesce(dispatched_at, '-infinity') = '-infinity';
DROP INDEX job_waiting;
