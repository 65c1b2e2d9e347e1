"""Stock RQ's own scheduler, `rq cron`: one entry, every second."""

from __future__ import annotations

from rq import cron

from benches import jobs_work

cron.register(jobs_work.noop, "peer", cron="* * * * * *")
