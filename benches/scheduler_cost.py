"""What a cycle costs: with nothing to do, and among ten thousand schedules of businesses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from benches.jobs_house import House
from benches.jobs_latency import counting, redis_commands
from benches.jobs_report import Report, Target, figure
from benches.scheduler_crew import OUR_WORKER, schedulers
from benches.scheduler_judged import quantile
from benches.scheduler_ours import Cycle, read_cycles

SETTLES_S = 8.0
BUSINESSES = 100
OWNED = 10_000
# Of these each has a second of every minute; the others come once a day, at minutes of their own.
EACH_MINUTE = 300
# What the installation does for itself is no idle cycle.
LET_REST = "UPDATE schedule SET next_slot = now() + interval '1 day' WHERE business_id IS NULL"
MADE = """
INSERT INTO business (id, name)
SELECT 1000 + n, format('bench %s', n) FROM generate_series(1, $1::int) AS n
"""
OWN = """
INSERT INTO schedule (name, business_id, label, kind, payload, cron, zone, catch_up, longest_age_s,
                      watermark, next_slot)
SELECT format('own-%s', n), 1001 + n % $2::int, 'bench', 'tick_job', jsonb_build_object('entry', 0),
       format('%s %s * * *', n % 60, n / 60 % 24), 'Europe/Berlin', 'latest', 43200, now(),
       now() + interval '1 day' + n * interval '1 second'
FROM generate_series(0, $1::int - 1) AS n
"""
COME_DUE = """
UPDATE schedule SET cron = format('%s * * * * *', substr(name, 5)::int % 60), watermark = now(),
                    next_slot = now(), revision = revision + 1
WHERE business_id IS NOT NULL AND substr(name, 5)::int < $1::int
"""
ALL_AT_ONCE = """
UPDATE schedule SET cron = format('%s %s * * *', extract(minute FROM at), extract(hour FROM at)),
                    zone = 'UTC', watermark = at - interval '1 second', next_slot = at,
                    revision = revision + 1
FROM (SELECT date_trunc('minute', now())) AS minute (at) WHERE business_id IS NOT NULL
"""
SLOTS = "SELECT count(*) FROM schedule_slot WHERE schedule LIKE 'own-%'"
IS_RECORDED = "SELECT NOT EXISTS (SELECT FROM schedule WHERE business_id IS NOT NULL AND next_slot <= now())"


async def idle(house: House, report: Report, *, seconds: int) -> list[Target]:
    """Look on while one scheduler has nothing to do; its statements are counted on the wire."""
    await house.clear()
    noted = house.folder / "idle-cycles"
    async with counting(house.database_url) as (url, sent):
        with schedulers(house, 1, DATABASE_URL=url, BENCH_CYCLES=str(noted)) as crew:
            await crew.until_up()
            await asyncio.sleep(SETTLES_S)
            await house.look.execute(LET_REST)
            sent.clear()
            before = await redis_commands(house)
            cycles = await _cycles(noted, seconds)
            statements, trips = sent["E"] + sent["Q"], sent["S"] + sent["Q"]
            commands = await redis_commands(house) - before
    report.say(f"**An idle scheduler, {seconds} s**")
    _table(report, {"nothing to do": cycles})
    count = len(cycles)
    return [
        Target("idle cycle: CPU of the process", _cpu_ms(cycles), "ms", most=5),
        Target("idle cycle: PostgreSQL statements", statements / count, most=4),
        Target("idle cycle: PostgreSQL round trips", trips / count),
        Target("idle cycle: Redis commands, those in scripts included", commands / count),
    ]


async def owned(house: House, report: Report, *, seconds: int) -> list[Target]:
    """Let none of 10,000 schedules come due, then five each second, then all of them at one moment."""
    await house.clear()
    await house.look.execute(MADE, BUSINESSES)
    await house.look.execute(OWN, OWNED, BUSINESSES)
    await house.look.execute("VACUUM ANALYZE schedule")
    noted = house.folder / "owned-cycles"
    worker = house.running(OUR_WORKER, env=house.ours(WORKER_PROCESSES="1"))
    with schedulers(house, 1, BENCH_CYCLES=str(noted)) as crew, worker:
        await crew.until_up()
        await asyncio.sleep(SETTLES_S)
        idle_cycles = await _cycles(noted, seconds // 2)
        await house.look.execute(COME_DUE, EACH_MINUTE)
        await asyncio.sleep(SETTLES_S)
        before = await house.look.fetchval(SLOTS)
        busy = await _cycles(noted, seconds)
        came = (await house.look.fetchval(SLOTS) - before) / seconds
        burst_s, burst = await _burst(house, noted)
    worst = _longest_each_second(busy)
    report.say(f"**{OWNED:,} schedules of {BUSINESSES} businesses, one scheduler**")
    _table(report, {"none due": idle_cycles, f"{came:.1f} due a second": busy, "all due at once": burst})
    return [
        Target(f"{OWNED:,} schedules, none due: cycle, median", _median_ms(idle_cycles), "ms", most=50),
        Target(f"{OWNED:,} schedules, none due: cycle, p99", _p99_ms(idle_cycles), "ms", most=50),
        Target(
            f"{OWNED:,} schedules, few due: longest cycle of a second, median",
            _median_ms(worst),
            "ms",
            most=50,
        ),
        Target(
            f"{OWNED:,} schedules, few due: longest cycle of a second, p99", _p99_ms(worst), "ms", most=50
        ),
        Target(f"{OWNED:,} schedules due at one moment → all recorded with their jobs", burst_s, "s"),
    ]


async def _burst(house: House, noted: Path) -> tuple[float, list[Cycle]]:
    began = time.monotonic()
    await house.look.execute(ALL_AT_ONCE)
    await house.until(lambda: house.look.fetchval(IS_RECORDED), within_s=120)
    return time.monotonic() - began, [one for one in read_cycles(noted) if one.at > began]


async def _cycles(noted: Path, seconds: int) -> list[Cycle]:
    began = time.monotonic()
    await asyncio.sleep(seconds)
    return [one for one in read_cycles(noted) if one.at > began]


def _longest_each_second(cycles: Sequence[Cycle]) -> list[Cycle]:
    longest: dict[int, Cycle] = {}
    for one in cycles:
        known = longest.get(int(one.at))
        if known is None or one.took_s > known.took_s:
            longest[int(one.at)] = one
    return list(longest.values())


def _table(report: Report, found: dict[str, list[Cycle]]) -> None:
    report.table(
        ["", "cycles", "CPU each", "duration, median", "p99", "longest"],
        [
            [name, str(len(cycles)), f"{figure(_cpu_ms(cycles))} ms", f"{figure(_median_ms(cycles))} ms"]
            + [
                f"{figure(quantile([one.took_s * 1000 for one in cycles], percent))} ms"
                for percent in (99, 100)
            ]
            for name, cycles in found.items()
        ],
    )


def _cpu_ms(cycles: Sequence[Cycle]) -> float:
    return (cycles[-1].cpu_s - cycles[0].cpu_s) / (len(cycles) - 1) * 1000


def _median_ms(cycles: Sequence[Cycle]) -> float:
    return quantile([one.took_s * 1000 for one in cycles], 50)


def _p99_ms(cycles: Sequence[Cycle]) -> float:
    return quantile([one.took_s * 1000 for one in cycles], 99)
