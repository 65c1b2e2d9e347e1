"""The way of one claim: handle → end. Every outcome of a run is decided here."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from functools import cache

import structlog
from prometheus_client import Counter, Histogram

from server.errors import (
    BadInputError,
    LeaseLostError,
    ProviderBusyError,
    ProviderRefusedError,
    Snooze,
    StoreUnavailableError,
)
from server.log import get_logger, where
from server.queue.counts import Write, count_fenced
from server.queue.crash_points import CrashPoint, crash_point
from server.queue.kinds import HANDLERS, KINDS, JobKind
from server.queue.ledger import WAITS_FOR_UPGRADE, Claim, Ending, Ledger, Outcome
from server.queue.run import Run

log = get_logger(__name__)

ENDED = Counter("prosaas_jobs_ended", "Runs that ended, by kind and outcome.", ["kind", "outcome"])
SECONDS = Histogram(
    "prosaas_job_seconds",
    "Duration of a run, in seconds.",
    ["kind"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120),
)
# A kind or version that this worker does not know waits for one that does.
UPGRADE_WAIT_S = 60.0
SHOWN_REASON = 300


@dataclass(frozen=True)
class Ended:
    """A run's end as the worker reports it to RQ; `recorded` is False when the lease was lost."""

    claim: Claim
    ending: Ending
    recorded: bool


async def perform(run: Run, ledger: Ledger) -> Ended:
    """Run one claimed job to its end; raises only when cancelled, and then the lease is given back.

    The caller's task is the job's own: what is bound to its log lines ends with it.
    """
    claim = run.claim
    started = time.perf_counter()
    structlog.contextvars.bind_contextvars(
        job_id=claim.job_id, business_id=claim.business_id, attempt=claim.attempts
    )
    try:
        crash_point(CrashPoint.AFTER_CLAIM)
        ending = await _handle(run)
        crash_point(CrashPoint.BEFORE_FINISH)
        run.is_ending = True
        recorded = run.completed or (
            # Whoever holds the job now writes its end; this run may write nothing.
            ending.outcome is not Outcome.LOST and await ledger.end(claim, ending)
        )
        if not recorded and ending.outcome is not Outcome.LOST:
            count_fenced(Write.END)
        run.completed = True
        crash_point(CrashPoint.AFTER_FINISH)
    except StoreUnavailableError as error:
        # Nothing can be recorded: the lease runs out and the sweeper gives the job to another.
        log.warning("job_left_to_lease", error=str(error))
        return Ended(claim, Ending(Outcome.LOST, str(error)), recorded=False)
    finally:
        _seconds_of(claim.kind).observe(time.perf_counter() - started)
    _ended_of(claim.kind, ending.outcome).inc()
    log.info("job_ended", kind=claim.kind, outcome=ending.outcome.value, reason=ending.reason, held=recorded)
    return Ended(claim, ending, recorded)


@cache
def _seconds_of(kind: str) -> Histogram:
    return SECONDS.labels(kind)


@cache
def _ended_of(kind: str, outcome: Outcome) -> Counter:
    return ENDED.labels(kind, outcome.value)


async def _handle(run: Run) -> Ending:
    claim = run.claim
    kind = KINDS.get(claim.kind)
    handler = HANDLERS.get(claim.kind)
    if kind is None or handler is None or claim.version > kind.version:
        return Ending(Outcome.SNOOZED, WAITS_FOR_UPGRADE, UPGRADE_WAIT_S)
    try:
        payload = kind.decode(claim.payload, claim.version)
        async with asyncio.timeout(_seconds_left(claim, kind)):
            await handler(run, payload)
    except StoreUnavailableError:
        raise
    except Exception as error:  # noqa: BLE001 -- where a handler's bug is answered: recorded, retried
        return _ending_after(claim, kind, error)
    return Ending(Outcome.DONE)


def _seconds_left(claim: Claim, kind: JobKind) -> float:
    return kind.timeout_s if claim.expires_in_s is None else min(kind.timeout_s, claim.expires_in_s)


def _ending_after(claim: Claim, kind: JobKind, error: Exception) -> Ending:
    match error:
        case Snooze():
            return Ending(Outcome.SNOOZED, str(error), error.for_s)
        case ProviderBusyError():
            return Ending(Outcome.SNOOZED, str(error), error.retry_after_s)
        case LeaseLostError():
            return Ending(Outcome.LOST, str(error))
        case BadInputError() | ProviderRefusedError():
            return Ending(Outcome.FAILED, str(error))
        case TimeoutError() if _seconds_left(claim, kind) < kind.timeout_s:
            return Ending(Outcome.EXPIRED, "its time passed while it ran")
        case _:
            return _after_bug(claim, kind, error)


def _after_bug(claim: Claim, kind: JobKind, error: Exception) -> Ending:
    reason = f"{type(error).__name__}: {error}"[:SHOWN_REASON] if is_ours(error) else type(error).__name__
    log.error("job_raised", kind=claim.kind, error=reason, where=where(error))
    if claim.attempts > len(kind.retry_after_s):
        return Ending(Outcome.FAILED, reason)
    return Ending(Outcome.RETRY, reason, jittered(kind.retry_after_s[claim.attempts - 1]))


def overdue(claim: Claim) -> Ending:
    """Return the ending of a run that went past its time and did not heed its cancellation."""
    return _ending_after(claim, KINDS[claim.kind], TimeoutError())


def is_ours(error: Exception) -> bool:
    """Tell whether an error's text is a sentence of ours; a library's may quote a customer."""
    return type(error).__module__.startswith("server.")


def jittered(delay_s: float) -> float:
    """Spread a wait over all of its time ("full jitter"): what failed together does not return together."""
    return delay_s * random.uniform(0, 1)  # noqa: S311 -- decides nothing secret
