"""Celery's own scheduler, `celery beat`: one entry, every second.

Its cron expressions know no seconds: the entry is an interval. Each beat keeps its own file, as it must,
and writes it after every task, so that a killed one knows when it last ran.
"""

from __future__ import annotations

from benches.jobs_peers_celery import app

app.conf.update(beat_schedule={"tick": {"task": "noop", "schedule": 1.0}}, beat_sync_every=1)
