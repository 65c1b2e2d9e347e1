"""The engine's figures beside its peers, each with its target: what is faster, and what is only safe.

One Valkey with its append-only file and one PostgreSQL with fsync, both on unix sockets; two worker
processes for everybody, log level warning. Read the ratios: the machine is shared.

    ./run bench jobs [throughput latency statements waiting loss crash history backlog]
                     [--rounds 3] [--only ours rq] [--history 5000000] [--publish]

`--publish` writes what a whole run found into docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from benches import jobs_backlog, jobs_faults, jobs_history, jobs_latency, jobs_throughput
from benches.jobs_house import ROOT, House, open_house
from benches.jobs_report import Report, Target, machine
from server import log

PAGE = ROOT / "docs" / "performance.md"
HEAD = """# Performance

`./run bench jobs --publish` measures all of this and writes this page. Everybody works in two processes,
on one Valkey with its append-only file and one PostgreSQL with fsync, in turn and in shuffled order; what
counts is the steady part of a backlog. The machine is shared: read the ratios, not the rates. *RQ layer
alone* is our worker with a ledger that says yes to everything, so that what remains is what stock RQ does
too; *with the ledger* each job is claimed, fenced and finished in PostgreSQL. A process of ours runs a
hundred jobs at a time, and ends those of one moment in one statement.
"""

Section: TypeAlias = Callable[[House, Report, argparse.Namespace], Awaitable[list[Target]]]


async def throughput(house: House, report: Report, options: argparse.Namespace) -> list[Target]:
    return await jobs_throughput.measure(house, report, rounds=options.rounds, only=options.only)


async def latency(house: House, _report: Report, _: argparse.Namespace) -> list[Target]:
    return await jobs_latency.idle_start(house)


async def statements(house: House, _report: Report, _: argparse.Namespace) -> list[Target]:
    return await jobs_latency.statements(house)


async def waiting(house: House, _report: Report, _: argparse.Namespace) -> list[Target]:
    return await jobs_latency.waiting(house)


async def loss(house: House, _report: Report, _: argparse.Namespace) -> list[Target]:
    return await jobs_faults.redis_loss(house)


async def crash(house: House, _report: Report, _: argparse.Namespace) -> list[Target]:
    return await jobs_faults.crashes(house)


async def history(house: House, report: Report, options: argparse.Namespace) -> list[Target]:
    return await jobs_history.flatness(house, report, history=options.history)


async def backlog(house: House, report: Report, _: argparse.Namespace) -> list[Target]:
    return await jobs_backlog.measure(house, report)


SECTIONS: dict[str, Section] = {
    "throughput": throughput,
    "latency": latency,
    "statements": statements,
    "waiting": waiting,
    "loss": loss,
    "crash": crash,
    "history": history,
    "backlog": backlog,
}


async def main() -> int:
    """Run the sections, print their figures; exit code 1 when a target is missed."""
    options = arguments()
    if options.publish and (options.sections or options.only):
        raise SystemExit("only a whole run is published: leave out the sections and --only")
    log.configure(log_format="console", level="warning")
    report = Report()
    report.say(machine())
    found: list[Target] = []
    for name in options.sections or SECTIONS:
        print(f"\n## {name}", flush=True)
        async with open_house() as house:
            found += await SECTIONS[name](house, report, options)
    report.say("**What was promised**")
    holds = report.targets(found)
    if options.publish:
        PAGE.write_text(HEAD + report.text, encoding="utf-8")
    return 0 if holds else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Jobs a second and what else was promised of the engine.")
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="all, unless named")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--history", type=int, default=5_000_000, help="finished jobs to stand behind")
    parser.add_argument("--only", nargs="*", default=[], choices=list(jobs_throughput.CONTENDERS))
    parser.add_argument("--publish", action="store_true", help="write docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
