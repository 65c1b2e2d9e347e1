"""How many rows of a file of leads one worker takes, with nobody listening and with an endpoint.

Every row is a person with a phone, a name and an address; one in ten is known already. The endpoint's
deliveries are asked for and not sent: this worker works on queue `low` alone. PostgreSQL with fsync,
Valkey with AOF, on unix sockets. Read the rows a second of processor time: the machine is shared.

    ./run bench import [--rows 5000] [--rounds 3] [--publish]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import psutil

from benches.jobs_house import BUSINESS, PYTHON, ROOT, House, open_house
from benches.jobs_report import Report, Target, figure, machine
from server import clock, log
from server.domains import contacts

PAGE = ROOT / "docs" / "performance-imports.md"
HEAD = """# Performance of imports

`./run bench import --publish` measures this and writes this page: a file of leads, taken by one worker
process while nothing else runs.
"""
# The work of one slice is the same for any number of rows: 50,000 take ten times as long as 5,000.
MOST_ROWS = 50_000
LEAST_PER_S = 300.0
WHAT = "rows a second of processor time, the worker's and PostgreSQL's, where an endpoint listens"
KNOWN_SHARE = 10
LISTENS = """
INSERT INTO webhook_endpoint (business_id, url, events, secret_encrypted)
VALUES ($1, 'http://127.0.0.1:1/', '{lead.created}', 'sealed')
"""
FORGET = "TRUNCATE contact, lead_import, webhook_endpoint, webhook_event CASCADE"
ENDED = "SELECT count(*) FROM lead_import WHERE state = 'done'"
TAKEN = "SELECT count(*) FROM lead_import_row WHERE state = 'added'"
TOLD = "SELECT count(*) FROM webhook_delivery"


@dataclass(frozen=True)
class Round:
    """What one file took, in seconds: on the clock, and of processors."""

    wall_s: float
    worker_s: float
    postgres_s: float


async def main() -> int:
    """Run the rounds and print what they found; exit code 1 when the target is missed."""
    options = arguments()
    log.configure(log_format="console", level="warning")
    report = Report()
    report.say(machine())
    found: dict[bool, list[Round]] = {False: [], True: []}
    async with open_house() as house:
        await house.look.execute("UPDATE business SET country = 'IL' WHERE id = $1", BUSINESS)
        for _ in range(options.rounds):
            for is_heard, rounds in found.items():
                rounds.append(await measure(house, options.rows, is_heard=is_heard))
    holds = tell(report, found, options.rows)
    if options.publish:
        PAGE.write_text(HEAD + report.text, encoding="utf-8")
    return 0 if holds else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Rows of a file of leads that one worker takes a second.")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--publish", action="store_true", help="write docs/performance-imports.md")
    return parser.parse_args()


async def measure(house: House, rows: int, *, is_heard: bool) -> Round:
    """Bring a file, start a worker, and watch until every row is taken."""
    await house.clear()
    await house.look.execute(FORGET)
    if is_heard:
        await house.look.execute(LISTENS, BUSINESS)
    await bring(house, sheet(range(0, rows, KNOWN_SHARE)))
    with ExitStack() as stack:
        env = house.ours(WORKER_PROCESSES="1", WORKER_QUEUES="low")
        [pid] = stack.enter_context(house.running([PYTHON, "-m", "server.worker"], env=env))
        # The known ones, by which the process opens its connections and plans its statements as well.
        await until_ended(house, 1)
        worker, postgres = psutil.Process(pid), psutil.Process(house.look.get_server_pid()).parent()
        before, began_at = (spent_s(worker), spent_s(postgres)), clock.monotonic_s()
        await bring(house, sheet(range(rows)))
        await until_ended(house, 2)
        wall_s = clock.monotonic_s() - began_at
        spent = Round(wall_s, spent_s(worker) - before[0], spent_s(postgres) - before[1])
    taken, told = await house.look.fetchval(TAKEN), await house.look.fetchval(TOLD)
    if taken != rows + len(range(0, rows, KNOWN_SHARE)) or told != (rows if is_heard else 0):
        raise AssertionError(f"{taken} rows were taken, and {told} events told")
    return spent


async def bring(house: House, content: bytes) -> None:
    """Upload a file and have it imported as its columns were recognised."""
    file = await contacts.check_file(content)
    async with house.database.transaction(BUSINESS) as session:
        kept = await contacts.keep_file(session, BUSINESS, file, name="leads.csv", made_by="bench")
        await contacts.start_import(session, BUSINESS, kept, file.mapping)


def sheet(numbers: Sequence[int]) -> bytes:
    """Return a file with a row for each of these people; the same person has another budget each time."""
    told = [
        f"Dana {number},050{number:07},dana{number}@example.com,Haifa,{len(numbers)}\n" for number in numbers
    ]
    return ("name,phone,email,city,budget\n" + "".join(told)).encode()


async def until_ended(house: House, files: int) -> None:
    """Wait until so many files were taken."""

    async def ended() -> bool:
        return bool(await house.look.fetchval(ENDED) == files)

    await house.until(ended, within_s=1800)


def spent_s(process: psutil.Process | None) -> float:
    """Return the processor time of a process and all below it, those that ended included."""
    if process is None:
        raise AssertionError("the process is gone")
    return sum(sum(one.cpu_times()[:4]) for one in [process, *process.children(recursive=True)])


def tell(report: Report, found: dict[bool, list[Round]], rows: int) -> bool:
    """Print what was found; tell whether the target holds."""
    lines = [
        [
            "an endpoint listens" if is_heard else "nobody listens",
            *(figure(rows / median(rounds, part)) for part in ("wall_s", "worker_s", "postgres_s")),
            figure(MOST_ROWS / rows * median(rounds, "wall_s")),
        ]
        for is_heard, rounds in found.items()
    ]
    heads = ["", "rows a second", "a second of the worker's", "a second of PostgreSQL's", "s for 50,000 rows"]
    report.say(f"{rows:,} rows, one in {KNOWN_SHARE} known; medians of {len(found[False])} rounds.")
    report.table(heads, lines)
    spent = sum(median(found[True], part) for part in ("worker_s", "postgres_s"))
    return report.targets([Target(WHAT, rows / spent, least=LEAST_PER_S)])


def median(rounds: Sequence[Round], part: str) -> float:
    """Return the middle of one part of what the rounds took."""
    return statistics.median(float(getattr(one, part)) for one in rounds)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
