"""Schedules with a slot every few seconds, of a business, and the proof that each slot became one row.

No worker runs: what was enqueued stays to be counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
from prometheus_client.parser import text_string_to_metric_families

from server.queue.schedules import LOCK_KEY
from server.stack.child import Child
from tests.engine import eventually
from tests.processes import Installation

KIND = "login_cleanup_job"
# A line's name, which is its policy too, and the seconds between its slots.
LINES = {"all": 1, "latest": 1, "none": 2}
BEGIN = """
INSERT INTO schedule (name, business_id, label, kind, cron, zone, catch_up, longest_age_s,
                      watermark, next_slot)
SELECT line.name, 6, line.name, $1, '*/' || step || ' * * * * *', 'Asia/Jerusalem', line.name, 3600,
       clock.start, clock.start
FROM unnest($2::text[], $3::int[]) AS line (name, step),
     (SELECT date_trunc('minute', now()) AS start) AS clock
RETURNING watermark
"""
# A cycle waits for a store so long, and rests after it, at most.
ALIVE_WITHIN_S = 15
NOW = "SELECT now()"
FOLLOWING = "SELECT min(next_slot) FROM schedule WHERE business_id = 6"
SLOTS = "SELECT slot, state, reason, job_id, created_at FROM schedule_slot WHERE schedule = $1 ORDER BY slot"
JOBS = "SELECT id, payload ->> 'slot' AS slot FROM job WHERE kind = $1 AND business_id = 6"
WATERMARK = "SELECT watermark FROM schedule WHERE name = $1"


@dataclass(frozen=True)
class Found:
    """The slots and the watermark of each line, and the slot of each job, all at one moment."""

    slots: Mapping[str, Sequence[asyncpg.Record]]
    watermarks: Mapping[str, datetime]
    jobs: Mapping[str, datetime]


@dataclass(frozen=True)
class Timetable:
    """The lines above in an installation, from a moment on."""

    house: Installation
    start: datetime

    async def now(self) -> datetime:
        """Return the database's clock."""
        return datetime.fromisoformat(str(await self.house.value(NOW)))

    async def until(self, moment: datetime, *, within_s: float = 20) -> None:
        """Wait until every slot up to a moment is recorded."""

        async def recorded() -> bool:
            try:
                return bool(await self.house.value(FOLLOWING) > moment)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return False

        await eventually(recorded, within_s=within_s, what="the slots of all lines")

    async def goes_on(self, *, for_s: float, within_s: float = 20) -> None:
        """Wait until the slots of some seconds from now are recorded."""
        await self.until(await self.now() + timedelta(seconds=for_s), within_s=for_s + within_s)

    async def is_whole(self, *, since: datetime | None = None) -> float:
        """Hold rows = slots and jobs = rows that were enqueued; return the greatest lateness in seconds.

        Only slots after `since` count for the lateness, and only those of the line that enqueues them all.
        """
        found = await self._found()
        enqueued: dict[str, datetime] = {}
        for name, step_s in LINES.items():
            rows, until = found.slots[name], found.watermarks[name]
            assert [row["slot"] for row in rows] == _every(step_s, self.start, until), name
            assert all(row["reason"] for row in rows if row["state"] == "skipped")
            mine = {row["job_id"]: row["slot"] for row in rows if row["state"] == "enqueued"}
            assert not enqueued.keys() & mine.keys()
            enqueued |= mine
        assert found.jobs == enqueued
        every = found.slots["all"]
        assert {row["state"] for row in every} == {"enqueued"}
        late = [row["created_at"] - row["slot"] for row in every if row["slot"] > (since or self.start)]
        return float(max(late).total_seconds())

    async def _found(self) -> Found:
        connection = await asyncpg.connect(self.house.addresses.database_url)
        try:
            # Schedulers go on meanwhile.
            async with connection.transaction(isolation="repeatable_read"):
                slots = {name: await connection.fetch(SLOTS, name) for name in LINES}
                watermarks = {name: await connection.fetchval(WATERMARK, name) for name in LINES}
                jobs = await connection.fetch(JOBS, KIND)
        finally:
            await connection.close()
        return Found(slots, watermarks, {job["id"]: datetime.fromisoformat(job["slot"]) for job in jobs})


async def begin(house: Installation) -> Timetable:
    """Enter the lines; their first slots are those of this minute."""
    start = await house.value(BEGIN, KIND, list(LINES), list(LINES.values()))
    return Timetable(house, start)


def _every(step_s: int, start: datetime, until: datetime) -> list[datetime]:
    count = int((until - start).total_seconds()) // step_s
    return [start + timedelta(seconds=step_s * number) for number in range(1, count + 1)]


async def holder(house: Installation) -> Child | None:
    """Return the scheduler that has the lock, if one of those that run has it."""
    token = await house.redis("GET", LOCK_KEY)
    pid = int(token.decode().split(":")[-2]) if token else 0
    return next((child for child in house.running["scheduler"] if child.pid == pid), None)


async def until_held(house: Installation, *, but_not_by: Child | None = None, within_s: float = 15) -> Child:
    """Wait until a scheduler that runs has the lock, another than this one; return it."""
    found: list[Child] = []

    async def held() -> bool:
        child = await holder(house)
        found[:] = [child] if child is not None and child is not but_not_by else []
        return bool(found)

    await eventually(held, within_s=within_s, what="a scheduler that has the lock")
    return found[0]


async def cycles(house: Installation, child: Child) -> Counter[str]:
    """Return how many cycles a scheduler has had, by how they went; 0 where there was none yet."""
    text = (await asked(house, child, "/metrics")).text
    found = {
        sample.labels["result"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "prosaas_scheduler_cycles_total"
    }
    return Counter({result: int(count) for result, count in found.items()})


async def asked(house: Installation, child: Child, path: str, *, timeout_s: float = 5) -> httpx.Response:
    """Ask a scheduler's health port."""
    port = child.program.env["HEALTH_PORT"]
    async with httpx.AsyncClient(timeout=timeout_s) as client:
        return await client.get(f"http://127.0.0.1:{port}{path}")


async def is_alive(house: Installation, child: Child) -> bool:
    """Tell whether a scheduler says that it lives, and that its last cycle was a moment ago."""
    told = await json_of(house, child, "/healthz")
    return bool(told["alive"]) and told["beat_age_s"] < ALIVE_WITHIN_S


async def json_of(house: Installation, child: Child, path: str) -> Any:
    """Return what a scheduler's health port says."""
    return (await asked(house, child, path)).json()
