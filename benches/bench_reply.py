"""How soon two hundred customers who write at once are answered by one worker process.

A simulated model takes 2 s for every answer and a simulated bridge sends it; echoes and receipts come
back through an api process, as they do. The business answers without waiting for a second line. Every
round has a fresh worker and new customers. PostgreSQL with fsync, Valkey with AOF, on unix sockets.

    ./run bench reply [--rounds 3] [--customers 200] [--publish]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from contextlib import ExitStack
from dataclasses import dataclass

from benches.jobs_house import ROOT, House, open_house
from benches.jobs_report import Report, Target, figure, machine
from benches.reply_outside import MODEL_S, World, open_world, watch_memory
from server import log

PAGE = ROOT / "docs" / "performance-replies.md"
HEAD = """# Performance of replies

`./run bench reply --publish` measures this and writes this page: customers who all write at the same moment,
a model that takes 2 s for each of them, and one worker process. The simulated world, the api and both stores
run on the same two cores.
"""
WITHIN_S = 4.0
MOST_MEMORY_MB = 1.0
# The first jobs of a process load what it is made of.
WARM_UP = 3


@dataclass(frozen=True)
class Round:
    """What one burst measured, from the moment the webhook was posted."""

    first_s: float
    median_s: float
    last_s: float
    cpu_ms: float
    memory_mb: float


async def main() -> int:
    """Run the rounds and print what they found; exit code 1 when a target is missed."""
    options = arguments()
    log.configure(log_format="console", level="warning")
    report = Report()
    report.say(machine())
    async with open_house() as house, open_world(house) as world:
        rounds = [await measure(house, world, options.customers, number) for number in range(options.rounds)]
    holds = tell(report, rounds, options.customers)
    if options.publish:
        PAGE.write_text(HEAD + report.text, encoding="utf-8")
    return 0 if holds else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Two hundred replies at once on one worker process.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--publish", action="store_true", help="write docs/performance-replies.md")
    return parser.parse_args()


async def measure(house: House, world: World, customers: int, number: int) -> Round:
    """Start a worker, let new customers write at once, twice, and watch until all are answered."""
    await house.clear()
    with ExitStack() as stack:
        worker = await world.start_worker(stack)
        await world.forget()
        last = await burst(world, WARM_UP, group=3 * number, after=0)
        memory = worker.memory_info().rss
        watching = asyncio.create_task(watch_memory(worker))
        last = await burst(world, customers, group=3 * number + 1, after=last)
        before_s = sum(worker.cpu_times()[:2])
        at = await world.write(customers, group=3 * number + 2)
        answers = await world.until_answered(customers, after=last, within_s=120)
        watching.cancel()
        most = await watching
        await world.until_quiet()
        spent_s = sum(worker.cpu_times()[:2]) - before_s
    took = sorted((answer.at - at).total_seconds() for answer in answers)
    return Round(
        first_s=took[0],
        median_s=statistics.median(took),
        last_s=took[-1],
        cpu_ms=spent_s * 1000 / customers,
        memory_mb=max(0, most - memory) / customers / 1024**2,
    )


async def burst(world: World, customers: int, *, group: int, after: int) -> int:
    """Let new customers write and wait until nothing is left to do; return the number of the last answer."""
    await world.write(customers, group=group)
    answers = await world.until_answered(customers, after=after, within_s=120)
    await world.until_quiet()
    return answers[-1].number


def tell(report: Report, rounds: list[Round], customers: int) -> bool:
    """Print every round and the verdicts; return whether the targets hold in the middle one."""
    report.say(f"{customers} customers at once; the model takes {MODEL_S:.0f} s.")
    report.table(
        ["first answer", "median", "last", "CPU of the worker a reply", "memory a waiting reply"],
        [
            [
                f"{one.first_s:.2f} s",
                f"{one.median_s:.2f} s",
                f"{one.last_s:.2f} s",
                f"{figure(one.cpu_ms)} ms",
                f"{one.memory_mb:.3f} MB",
            ]
            for one in rounds
        ],
    )
    last_s = statistics.median(one.last_s for one in rounds)
    memory_mb = max(one.memory_mb for one in rounds)
    return report.targets(
        [
            Target("the last of them is answered after", last_s, "s", most=WITHIN_S),
            Target("last answer ÷ the model's own time", last_s / MODEL_S, "×"),
            Target("memory of the worker a waiting reply", memory_mb, "MB", most=MOST_MEMORY_MB),
        ]
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
