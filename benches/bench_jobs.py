"""The engine's figures beside its peers, each with its target: what is faster, and what is only safe.

One Valkey with its append-only file and one PostgreSQL with fsync, both on unix sockets; two worker
processes for everybody, log level warning. Read the ratios: the machine is shared.

    ./run bench jobs [throughput latency statements waiting loss crash history]
                     [--rounds 3] [--only ours rq] [--history 5000000]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from benches import jobs_faults, jobs_history, jobs_latency, jobs_throughput
from benches.jobs_house import House, open_house
from benches.jobs_report import Target, print_machine, print_targets
from server import log

Section: TypeAlias = Callable[[House, argparse.Namespace], Awaitable[list[Target]]]


async def throughput(house: House, options: argparse.Namespace) -> list[Target]:
    return await jobs_throughput.measure(house, rounds=options.rounds, only=options.only)


async def latency(house: House, _: argparse.Namespace) -> list[Target]:
    return await jobs_latency.idle_start(house)


async def statements(house: House, _: argparse.Namespace) -> list[Target]:
    return await jobs_latency.statements(house)


async def waiting(house: House, _: argparse.Namespace) -> list[Target]:
    return await jobs_latency.waiting(house)


async def loss(house: House, _: argparse.Namespace) -> list[Target]:
    return await jobs_faults.redis_loss(house)


async def crash(house: House, _: argparse.Namespace) -> list[Target]:
    return await jobs_faults.crashes(house)


async def history(house: House, options: argparse.Namespace) -> list[Target]:
    return await jobs_history.flatness(house, history=options.history)


SECTIONS: dict[str, Section] = {
    "throughput": throughput,
    "latency": latency,
    "statements": statements,
    "waiting": waiting,
    "loss": loss,
    "crash": crash,
    "history": history,
}


async def main() -> int:
    """Run the sections, print their figures; exit code 1 when a target is missed."""
    options = arguments()
    log.configure(log_format="console", level="warning")
    print_machine()
    found: list[Target] = []
    for name in options.sections or SECTIONS:
        print(f"\n## {name}", flush=True)
        async with open_house() as house:
            found += await SECTIONS[name](house, options)
    return 0 if print_targets(found) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Jobs a second and what else was promised of the engine.")
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="all, unless named")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--history", type=int, default=5_000_000, help="finished jobs to stand behind")
    parser.add_argument("--only", nargs="*", default=[], choices=list(jobs_throughput.CONTENDERS))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
