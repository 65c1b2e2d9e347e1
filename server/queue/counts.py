"""What the engine counts as it happens, in each process for itself; docs/metrics.md explains every figure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import cache

import asyncpg
from prometheus_client import Counter, Histogram

from server.queue.kinds import KINDS

WAITED = Histogram(
    "prosaas_job_wait_seconds",
    "From the moment a job was due to its claim, in seconds.",
    ["kind"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10, 30, 60, 300, 1800),
)
FENCED = Counter(
    "prosaas_fenced_writes", "Writes of a run that had lost its job: refused, by what was written.", ["write"]
)
QUARANTINED = Counter(
    "prosaas_jobs_quarantined", "Jobs set aside after they ended their process three times.", ["kind"]
)
LEASES_RAN_OUT = Counter("prosaas_leases_ran_out", "Leases that nobody renewed in time.", ["kind"])
DISPATCHES_LOST = Counter("prosaas_dispatches_lost", "Dispatches that Redis had forgotten.", ["kind"])
EFFECTS_ORPHANED = Counter("prosaas_effects_orphaned", "Sendings whose process ended: they became unknown.")


class Write(StrEnum):
    """The writes that a token guards."""

    STEP = "step"
    COMPLETION = "completion"
    PROGRESS = "progress"
    SENDING = "sending"
    END = "end"


def count_start(kind: str, waited_s: float) -> None:
    """Count how long after it was due a job was claimed."""
    _waited_of(kind).observe(waited_s)


@cache
def _waited_of(kind: str) -> Histogram:
    return WAITED.labels(kind)


def count_fenced(write: Write) -> None:
    """Count a write that was refused because another run may hold the job by now."""
    FENCED.labels(write.value).inc()


def count_quarantined(buried: Iterable[asyncpg.Record]) -> None:
    """Count those of these jobs whose death was one too many; a row has kind and state."""
    for row in buried:
        if row["state"] == "quarantined":
            QUARANTINED.labels(row["kind"]).inc()


def start_at_zero() -> None:
    """Show every count from the start: a rate sees the first one only if there was a zero before it."""
    for kind in KINDS:
        for counter in (QUARANTINED, LEASES_RAN_OUT, DISPATCHES_LOST):
            counter.labels(kind)
    for write in Write:
        FENCED.labels(write.value)
