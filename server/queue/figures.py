"""The ledger in figures, for metrics: what waits, runs, was set aside or is unknown at this moment.

Every scheduler shows the same figures, because they are read from the rows. Only open work is read,
and only when somebody asks: the cost does not grow with history, and is a bounded share of the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.clock import monotonic_s
from server.db.session import Database
from server.errors import StoreUnavailableError
from server.queue.kinds import KINDS, Urgency
from server.queue.ledger import WAITS_FOR_UPGRADE

FRESH_S = 5.0
# Reading takes at most this share of the time, however much is open.
SHARE = 0.05
# How long a scrape waits for a reading before it is given the one before.
PATIENCE_S = 2.0
# A figure older than this is not shown: an alarm on its absence is better than a number that was true once.
SHOWN_FOR_S = 60.0
MOST_COUNTED = 10_000
OTHER = "other"
STATES = ("ready", "later", "paused", "running", "failed", "quarantined")

# What waits and what runs, each part by an index of its own. A pause is looked up once, not once a row.
OPEN = """
WITH paused AS (
    SELECT coalesce(array_agg(name) FILTER (WHERE sort = 'kind'), '{}') AS kinds,
           coalesce(array_agg(name) FILTER (WHERE sort = 'queue'), '{}') AS queues,
           coalesce(array_agg(name) FILTER (WHERE sort = 'business'), '{}') AS businesses
    FROM job_pause WHERE resumed_at IS NULL
), waiting AS (
    SELECT kind, queue, urgency, business_id, due_at, reason FROM job
    WHERE state = 'ready' AND dispatched_at IS NULL
    UNION ALL
    SELECT kind, queue, urgency, business_id, due_at, reason FROM job
    WHERE state = 'ready' AND dispatched_at IS NOT NULL
), open AS (
    SELECT kind, queue, urgency, due_at, reason = $1 AS for_upgrade,
           CASE WHEN kind = ANY (kinds) OR queue = ANY (queues) OR business_id::text = ANY (businesses)
                THEN 'paused' WHEN due_at > now() THEN 'later' ELSE 'ready' END AS state
    FROM waiting CROSS JOIN paused
)
SELECT kind, queue, urgency, state, count(*) AS jobs, count(*) FILTER (WHERE for_upgrade) AS for_upgrade,
       extract(epoch FROM now() - min(due_at))::float8 AS oldest_s, 0 AS overdue
FROM open GROUP BY kind, queue, urgency, state
UNION ALL
SELECT kind, queue, urgency, 'running', count(*), 0, 0, count(*) FILTER (WHERE lease_until < now())
FROM job WHERE state = 'running' GROUP BY kind, queue, urgency
"""
# Failed jobs stay until somebody decides: they are counted up to a limit, kind by kind.
SET_ASIDE = """
SELECT kind, state, jobs FROM unnest($1::text[]) AS known (kind)
CROSS JOIN unnest('{failed,quarantined}'::text[]) AS ended (state)
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs FROM (
        SELECT FROM job WHERE job.kind = known.kind AND job.state = ended.state
          AND job.state IN ('failed', 'quarantined') LIMIT $2) AS few) AS counted
"""
EFFECTS = """
SELECT provider, state, count(*) AS effects,
       extract(epoch FROM now() - min(sending_at))::float8 AS oldest_s
FROM effect WHERE state IN ('sending', 'unknown') GROUP BY provider, state
"""
PAUSES = """
SELECT sort, count(*) AS pauses, extract(epoch FROM now() - min(paused_at))::float8 AS oldest_s
FROM job_pause WHERE resumed_at IS NULL GROUP BY sort
"""
SCHEDULES = """
SELECT greatest(extract(epoch FROM now() - min(next_slot)), 0)::float8 AS lag_s,
       count(*) FILTER (WHERE trouble IS NOT NULL) AS in_trouble
FROM schedule
"""
# A lane stands still where its head waits for its next try while what came after it is due.
LANES_BLOCKED = """
SELECT count(DISTINCT head.lane) FROM job AS head
WHERE head.state = 'ready' AND head.dispatched_at IS NULL AND head.due_at > now() AND head.lane IS NOT NULL
  AND EXISTS (SELECT FROM job AS behind WHERE behind.lane = head.lane AND behind.seq > head.seq
                AND behind.state = 'ready' AND behind.due_at <= now())
"""


@dataclass(frozen=True)
class Reading:
    """The rows of one moment; `at` and `took_s` are of this process's clock."""

    open: Sequence[asyncpg.Record]
    set_aside: Sequence[asyncpg.Record]
    effects: Sequence[asyncpg.Record]
    pauses: Sequence[asyncpg.Record]
    schedules: asyncpg.Record
    lanes_blocked: int
    at: float
    took_s: float

    @property
    def rests_s(self) -> float:
        """Return how long it serves before the next may be made."""
        return max(FRESH_S, self.took_s / SHARE)


class Figures(Collector):
    """Shows the newest reading; `refresh` makes one where it is time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._newest: Reading | None = None
        self._reading: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Read again unless that was done just now; a slow reading goes on without the one who asked."""
        newest = self._newest
        if newest is not None and monotonic_s() - newest.at < newest.rests_s:
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        await asyncio.wait({self._reading}, timeout=PATIENCE_S)
        if self._reading.done():
            self._reading.result()

    async def _read(self) -> None:
        started = monotonic_s()
        try:
            async with self._database.driver() as connection:
                open_jobs = await connection.fetch(OPEN, WAITS_FOR_UPGRADE)
                set_aside = await connection.fetch(SET_ASIDE, sorted(KINDS), MOST_COUNTED)
                effects = await connection.fetch(EFFECTS)
                pauses = await connection.fetch(PAUSES)
                schedules = await connection.fetchrow(SCHEDULES)
                lanes = await connection.fetchval(LANES_BLOCKED)
        except StoreUnavailableError:
            # The cycle and /readyz tell of it; these figures grow old and disappear.
            return
        self._newest = Reading(
            *(open_jobs, set_aside, effects, pauses, schedules, lanes),
            at=started,
            took_s=monotonic_s() - started,
        )

    def collect(self) -> Iterator[Metric]:
        """Yield what was read, while it is not too old."""
        newest = self._newest
        if newest is None:
            return
        age_s = monotonic_s() - newest.at
        age = _gauge("read_age_seconds", "How long ago these figures were read.")
        age.add_metric([], age_s)
        yield age
        if age_s < max(SHOWN_FOR_S, 2 * newest.rests_s):
            yield from _jobs(newest)
            yield from _effects(newest)
            yield from _pauses(newest)
            yield from _schedules(newest)
            lanes = _gauge("lanes_blocked", "Lanes that wait for the next try of their first job.")
            lanes.add_metric([], newest.lanes_blocked)
            yield lanes


def _gauge(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"prosaas_ledger_{name}", help_text, labels=labels)


def _jobs(reading: Reading) -> Iterator[Metric]:
    jobs: dict[tuple[str, ...], float] = {
        (*_place(kind.name, kind.queue, kind.urgency), state): 0
        for kind in KINDS.values()
        for state in STATES
    }
    oldest: dict[tuple[str, ...], float] = {key[:-1]: 0 for key in jobs}
    overdue = upgrade = 0
    for row in reading.open:
        place = _place(row["kind"], row["queue"], row["urgency"])
        jobs[*place, row["state"]] = jobs.get((*place, row["state"]), 0) + row["jobs"]
        if row["state"] == "ready":
            oldest[place] = max(oldest.get(place, 0), row["oldest_s"])
        overdue += row["overdue"]
        upgrade += row["for_upgrade"]
    for row in reading.set_aside:
        kind = KINDS[row["kind"]]
        jobs[*_place(kind.name, kind.queue, kind.urgency), row["state"]] = row["jobs"]
    labels = ("kind", "queue", "urgency")
    yield _filled(_gauge("jobs", "Jobs that are not done, by state.", *labels, "state"), jobs)
    yield _filled(
        _gauge("oldest_ready_seconds", "How long the oldest job waits that could run.", *labels), oldest
    )
    yield _filled(
        _gauge("leases_overdue", "Running jobs whose lease is over and not yet swept."), {(): overdue}
    )
    yield _filled(_gauge("waiting_for_upgrade", "Jobs that no worker of theirs knows yet."), {(): upgrade})


def _effects(reading: Reading) -> Iterator[Metric]:
    counts = {(row["provider"], row["state"]): row["effects"] for row in reading.effects}
    oldest = {key: row["oldest_s"] for key, row in zip(counts, reading.effects, strict=True)}
    yield _filled(_gauge("effects", "Sendings under way or unknown.", "provider", "state"), counts)
    yield _filled(
        _gauge("oldest_effect_seconds", "Since when the oldest is so.", "provider", "state"), oldest
    )


def _pauses(reading: Reading) -> Iterator[Metric]:
    counts = dict.fromkeys([("kind",), ("queue",), ("business",)], 0) | {
        (row["sort"],): row["pauses"] for row in reading.pauses
    }
    oldest = max((row["oldest_s"] for row in reading.pauses), default=0)
    yield _filled(_gauge("pauses", "Pauses that are in force.", "sort"), counts)
    yield _filled(_gauge("oldest_pause_seconds", "How long the oldest of them lasts."), {(): oldest})


def _schedules(reading: Reading) -> Iterator[Metric]:
    lag_s, in_trouble = reading.schedules["lag_s"], reading.schedules["in_trouble"]
    yield _filled(_gauge("schedule_lag_seconds", "How long the oldest due slot waits."), {(): lag_s})
    yield _filled(
        _gauge("schedules_in_trouble", "Schedules of which no slot can be enqueued."), {(): in_trouble}
    )


def _filled(family: GaugeMetricFamily, values: dict[Any, float]) -> GaugeMetricFamily:
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _place(kind: str, queue: str, urgency: int) -> tuple[str, str, str]:
    """Name a kind by what this release knows of it: labels stay few, whatever the rows hold."""
    if kind not in KINDS:
        return OTHER, OTHER, OTHER
    return kind, queue, Urgency(urgency).name.lower()
