"""The scheduler's figures, each with its target; `rq cron` and Celery beat beside it, under the same kills.

One Valkey with its append-only file and one PostgreSQL with fsync, both on unix sockets, log level warning.

    ./run bench scheduler [lateness idle owned delayed beside] [--seconds 180] [--quick] [--publish]

`--publish` writes what a whole run found into docs/performance-scheduler.md.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from benches import scheduler_beside, scheduler_cost, scheduler_delayed, scheduler_lateness
from benches.jobs_house import ROOT, House, open_house
from benches.jobs_report import Report, Target, machine
from server import log

PAGE = ROOT / "docs" / "performance-scheduler.md"
QUICK_S = 45
HEAD = """# Performance of the scheduler

`./run bench scheduler --publish` measures all of this and writes this page. Every scheduler is a process of
its own, on one Valkey with its append-only file and one PostgreSQL with fsync, at its defaults. Lateness is
by the database's clock. A kill is `kill -9`, of the one that holds the lock where there is a lock, and
another is started in its place at once. The machine is shared, and runs the workers and all peers too.
What the engine does with the work is in [performance.md](performance.md).
"""

Section: TypeAlias = Callable[[House, Report, int], Awaitable[list[Target]]]


async def lateness(house: House, report: Report, seconds: int) -> list[Target]:
    return await scheduler_lateness.measure(house, report, seconds=seconds)


async def idle(house: House, report: Report, seconds: int) -> list[Target]:
    return await scheduler_cost.idle(house, report, seconds=seconds // 2)


async def owned(house: House, report: Report, seconds: int) -> list[Target]:
    return await scheduler_cost.owned(house, report, seconds=seconds // 2)


async def delayed(house: House, report: Report, _: int) -> list[Target]:
    return await scheduler_delayed.measure(house, report)


async def beside(house: House, report: Report, seconds: int) -> list[Target]:
    return await scheduler_beside.measure(house, report, seconds=seconds)


SECTIONS: dict[str, Section] = {
    "lateness": lateness,
    "idle": idle,
    "owned": owned,
    "delayed": delayed,
    "beside": beside,
}


async def main() -> int:
    """Run the sections, print their figures; exit code 1 when a target is missed."""
    options = arguments()
    if options.publish and (options.sections or options.quick):
        raise SystemExit("only a whole run is published: leave out the sections and --quick")
    log.configure(log_format="console", level="warning")
    report = Report()
    report.say(machine())
    found: list[Target] = []
    for name in options.sections or SECTIONS:
        print(f"\n## {name}", flush=True)
        async with open_house() as house:
            found += await SECTIONS[name](house, report, QUICK_S if options.quick else options.seconds)
    report.say("**What was promised**")
    holds = report.targets(found)
    if options.publish:
        PAGE.write_text(HEAD + report.text, encoding="utf-8")
    return 0 if holds else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Slots kept under kills, and what keeping them costs.")
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="all, unless named")
    parser.add_argument("--seconds", type=int, default=180, help="how long each run under kills lasts")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_S} s each, to see that it works")
    parser.add_argument("--publish", action="store_true", help="write docs/performance-scheduler.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
