"""Our scheduler beside `rq cron` and Celery beat: the same period, the same kills, at the same time.

All three keep one entry of every second. What arrives counts: for the peers in their queue, where nobody
else takes it, for ours where the job runs. They are killed at moments of their own, 20 s apart each, so that
no start is in the way of another's.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from benches.jobs_house import PYTHON, House
from benches.jobs_report import Report, Target, figure
from benches.jobs_throughput import BIN
from benches.scheduler_crew import OUR_WORKER, Crew, Place, every_second, holder, in_turn, killing, schedulers
from benches.scheduler_judged import Kept, by_period, by_slot, quantile
from benches.scheduler_ours import ENTRIES_AT_MOST
from server import tasks
from server.queue.connection import connect_redis

PERIOD_S = 1.0
# A beat is up and in step by then.
UP_AFTER_S = 10.0
ARRIVES_WITHIN_S = 3.0
SPREAD_S = 6.0
RQ_QUEUE, CELERY_QUEUE = "rq:queue:peer", "celery"
TITLES = {"ours": "**ours**", "rq": "`rq cron`", "celery": "Celery beat"}
HOW = (
    "Ours and `rq cron` have a cron expression with seconds, so that a slot is a moment of the clock."
    " Celery's expressions have none: its entry is an interval of a second, counted as kindly as may be (a"
    " shift costs nothing, only a gap of one and a half periods is a miss), and has no moment to be late for;"
    " each beat has a file of its own and writes it after every task. What arrives is seen in a peer's queue"
    " as it is put there, of ours only as its job runs."
)


@dataclass(frozen=True)
class Setting:
    """How many of each there are, and whether they are killed."""

    title: str
    count: int
    is_killed: bool


SETTINGS = (
    Setting("two of each, nobody is killed", 2, is_killed=False),
    Setting("two of each, one killed every 20 s", 2, is_killed=True),
    Setting("one of each, killed every 20 s", 1, is_killed=True),
)


async def measure(house: House, report: Report, *, seconds: int) -> list[Target]:
    """Run all three side by side in every setting."""
    targets: list[Target] = []
    report.say("**Beside its peers: one entry, every second**")
    report.say(HOW)
    rows = []
    for setting in SETTINGS:
        kept = await _run(house, setting, seconds)
        rows += [[setting.title, TITLES[name], *_told(one)] for name, one in kept.items()]
        ours = kept["ours"]
        targets += [
            Target(f"ours, {setting.title}: runs beyond one a slot", ours.duplicates, most=0),
            Target(f"ours, {setting.title}: slots missed", ours.missed, most=0),
        ]
    report.table(["setting", "system", "slots", "duplicates", "missed", "lateness, p99"], rows)
    return targets


def _told(kept: Kept) -> list[str]:
    late = f"{figure(quantile(kept.late_s, 99) * 1000)} ms" if kept.late_s else "cannot be told"
    return [str(kept.slots), str(kept.duplicates), str(kept.missed), late]


async def _run(house: House, setting: Setting, seconds: int) -> dict[str, Kept]:
    await house.clear()
    crews = {
        "ours": schedulers(house, setting.count),
        "rq": Crew(house, [_rq(house)] * setting.count),
        "celery": Crew(house, [_beat(house, number) for number in range(setting.count)]),
    }
    async with AsyncExitStack() as stack:
        arrived = await stack.enter_async_context(_watched(house))
        stack.enter_context(house.running(OUR_WORKER, env=house.ours(WORKER_PROCESSES="1")))
        for crew in crews.values():
            stack.enter_context(crew)
        await crews["ours"].until_up()
        await every_second(house, 1)
        await asyncio.sleep(UP_AFTER_S)
        begin = math.ceil(time.time())
        for number, (name, crew) in enumerate(crews.items()):
            if setting.is_killed:
                choose = holder if name == "ours" else in_turn
                await stack.enter_async_context(killing(crew, choose, first_s=SPREAD_S * (number + 0.5)))
        await asyncio.sleep(seconds)
        end = math.floor(time.time())
        await asyncio.sleep(ARRIVES_WITHIN_S)
    return _kept(house, arrived, begin, end)


def _kept(house: House, arrived: dict[str, list[float]], begin: int, end: int) -> dict[str, Kept]:
    slots = range(begin, end)
    wall = time.time() - time.monotonic()
    ours = [(mark.number // ENTRIES_AT_MOST, mark.at + wall) for mark in house.marks]
    return {
        "ours": by_slot(ours, slots),
        "rq": by_slot([(math.floor(at), at) for at in arrived[RQ_QUEUE]], slots),
        "celery": by_period(arrived[CELERY_QUEUE], begin=begin, end=end, period_s=PERIOD_S),
    }


@asynccontextmanager
async def _watched(house: House) -> AsyncIterator[dict[str, list[float]]]:
    """Yield when something arrived, by queue: it is taken out of there at once."""
    arrived: dict[str, list[float]] = defaultdict(list)
    redis = connect_redis(house.redis_url)

    async def watch() -> None:
        while True:
            found = await redis.blpop([RQ_QUEUE, CELERY_QUEUE], timeout=1)
            if found:
                arrived[found[0].decode()].append(time.time())

    task = asyncio.create_task(watch())
    try:
        yield arrived
        if task.done():
            task.result()
    finally:
        await tasks.end(task)
        await redis.aclose()


def _rq(house: House) -> Place:
    command = (str(BIN / "rq"), "cron", "benches.scheduler_peers_rq", "--url", house.redis_url)
    return Place((*command, "--serializer", "json", "--logging-level", "error"), house.environ())


def _beat(house: House, number: int) -> Place:
    command = (PYTHON, "-m", "celery", "-A", "benches.scheduler_peers_celery", "beat", "--loglevel", "ERROR")
    return Place((*command, "--schedule", str(house.folder / f"beat-{number}")), house.environ())
