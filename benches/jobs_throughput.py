"""How many jobs a second: ours and its peers, in turn, in shuffled order, on the same stores.

The backlog is there before the workers start. What counts is the steady part, from the tenth to
the ninetieth of a hundred jobs: without the start of one process before the other and without
the end, where one of them has run dry.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benches.jobs_house import BUSINESS, OUR_WORKER, PYTHON, House
from benches.jobs_ours import LOADS
from benches.jobs_report import Report, Target, times
from benches.jobs_work import Mark
from server.queue.asking import Asked, first_dispatch

WITHIN_S = 60
ENOUGH = 0.95
BIN = Path(PYTHON).parent
TITLES = {"noop": "**No-op jobs**", "wait": "**Jobs that wait 5 ms**"}
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


@dataclass(frozen=True)
class Crew:
    """Two worker processes under one load: their commands, how they are set up, how many jobs they get."""

    setup: str
    jobs: int
    commands: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Contender:
    """One system; `module` fills its queue, unless it is ours."""

    title: str
    noop: Crew
    wait: Crew
    module: str = ""
    env: dict[str, str] = field(default_factory=dict)

    def crew(self, load: str) -> Crew:
        """Return how it is set up for a load."""
        return self.noop if load == "noop" else self.wait


def twice(*command: str) -> tuple[tuple[str, ...], ...]:
    return ((PYTHON, "-m", *command),) * 2


def once(*command: str) -> tuple[tuple[str, ...], ...]:
    return ((PYTHON, "-m", *command),)


OURS = Crew("2 × 100 at a time, uvloop", 20_000, (OUR_WORKER,))
BARE = Crew("2 × 100 at a time, uvloop", 30_000, ((*OUR_WORKER, "--bare"),))
STOCK = Crew(
    "2 × one at a time",
    300,
    ((str(BIN / "rq"), "worker", "peer", "--serializer", "json", "--quiet"),) * 2,
)
_SAQ = twice("benches.jobs_peers_saq", "work")
_TASKIQ = once(
    *("taskiq", "worker", "benches.jobs_peers_taskiq:broker", "--workers", "2"),
    *("--max-async-tasks", "100", "--log-level", "ERROR"),
)
_ARQ = twice("benches.jobs_peers_arq", "work")


def dramatiq(threads: int, jobs: int) -> Crew:
    command = ("dramatiq", "benches.jobs_peers_dramatiq", "--skip-logging", "-p", "2", "-t", str(threads))
    return Crew(f"2 × {threads} threads", jobs, once(*command))


def huey(threads: int, jobs: int) -> Crew:
    command = ("huey.bin.huey_consumer", "benches.jobs_peers_huey.huey", "--quiet", "--no-periodic")
    return Crew(f"2 × {threads} threads", jobs, twice(*command, "-k", "thread", "-w", str(threads)))


def celery(pool: str, jobs: int) -> Crew:
    command = ("celery", "-A", "benches.jobs_peers_celery", "worker", "--loglevel", "ERROR")
    alone = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    if pool == "prefork":
        return Crew("prefork, 2", jobs, once(*command, *alone, "-P", "prefork", "-c", "2"))
    return Crew("2 × 100 threads", jobs, twice(*command, *alone, "-P", "threads", "-c", "100"))


SAFE = {"BENCH_CELERY": "safe"}
CONTENDERS = {
    "bare": Contender("**ours, RQ layer alone**", BARE, BARE, env={"DATABASE_URL": NOWHERE}),
    "ours": Contender("**ours, with the ledger**", OURS, OURS),
    "rq": Contender("RQ `Worker`", STOCK, STOCK, "benches.jobs_peers_rq"),
    "dramatiq": Contender(
        "Dramatiq", dramatiq(8, 12_000), dramatiq(100, 8_000), "benches.jobs_peers_dramatiq"
    ),
    "celery": Contender(
        "Celery", celery("prefork", 4_000), celery("threads", 3_000), "benches.jobs_peers_celery"
    ),
    "celery_safe": Contender(
        "Celery, acks late, result in PostgreSQL",
        celery("prefork", 1_000),
        celery("threads", 1_000),
        "benches.jobs_peers_celery",
        SAFE,
    ),
    "saq": Contender(
        "SAQ",
        Crew("2 × 100 at a time, uvloop", 6_000, _SAQ),
        Crew("2 × 100 at a time, uvloop", 6_000, _SAQ),
        "benches.jobs_peers_saq",
    ),
    "taskiq": Contender(
        "taskiq, stream",
        Crew("2 × 100 at a time, uvloop", 12_000, _TASKIQ),
        Crew("2 × 100 at a time, uvloop", 12_000, _TASKIQ),
        "benches.jobs_peers_taskiq",
    ),
    "huey": Contender("Huey", huey(50, 12_000), huey(50, 8_000), "benches.jobs_peers_huey"),
    "arq": Contender(
        "arq",
        Crew("2 × 100 at a time, uvloop", 2_000, _ARQ),
        Crew("2 × 100 at a time, uvloop", 2_000, _ARQ),
        "benches.jobs_peers_arq",
    ),
}
PEERS = ("dramatiq", "celery", "saq", "taskiq", "huey", "arq")


async def measure(house: House, report: Report, *, rounds: int, only: Sequence[str]) -> list[Target]:
    """Run every contender under both loads, tell the tables, return the targets."""
    names = [name for name in CONTENDERS if not only or name in only]
    found: dict[str, dict[str, list[float]]] = {name: {"noop": [], "wait": []} for name in names}
    for _ in range(rounds):
        turns = [(name, load) for name in names for load in LOADS]
        for name, load in random.sample(turns, len(turns)):
            found[name][load].append(await once_through(house, CONTENDERS[name], load))
    medians = {
        name: {load: statistics.median(rates) for load, rates in loads.items()}
        for name, loads in found.items()
    }
    _tell(report, found, medians)
    return _targets(medians)


async def once_through(house: House, contender: Contender, load: str) -> float:
    """Fill the queue, start the workers, return the jobs a second of the steady part."""
    await house.clear()
    crew = contender.crew(load)
    if contender.module:
        await _fill_by(house, contender, load)
        env = house.environ(RQ_REDIS_URL=house.redis_url, **contender.env)
    else:
        await _fill_ours(house, load, crew.jobs, bare="--bare" in crew.commands[0])
        env = house.ours(**contender.env)
    with house.running(*crew.commands, env=env):
        marks = await _marks(house, contender, crew.jobs)
        if contender is CONTENDERS["ours"]:
            await _until_recorded(house)
    moments = sorted(mark.at for mark in marks)
    first, last = moments[len(moments) // 10], moments[len(moments) * 9 // 10]
    rate = len(moments) * 0.8 / (last - first)
    print(f"{contender.title:45} {load:5} {rate:8.0f} /s", flush=True)
    return rate


async def _marks(house: House, contender: Contender, jobs: int) -> list[Mark]:
    try:
        return await house.until_marked(jobs, within_s=WITHIN_S)
    except TimeoutError:
        # A peer that lost a few has its figure all the same: the steady part ends before the last tenth.
        if not contender.module or len(house.marks) < jobs * ENOUGH:
            raise
        print(f"{contender.title}: {len(house.marks)} of {jobs} jobs ran, then none for long", flush=True)
        return house.marks


async def _fill_by(house: House, contender: Contender, load: str) -> None:
    process = await asyncio.create_subprocess_exec(
        PYTHON,
        *("-m", contender.module, load, str(contender.crew(load).jobs)),
        env=house.environ(**contender.env),
    )
    if await process.wait():
        raise SystemExit(f"{contender.title}: its queue could not be filled")


async def _fill_ours(house: House, load: str, count: int, *, bare: bool) -> None:
    payloads = [LOADS[load](number) for number in range(count)]
    if bare:
        await house.dispatcher.send([first_dispatch(Asked(one, BUSINESS).row()) for one in payloads])
    else:
        await house.ask(payloads)
        await house.look.execute("ANALYZE job")


async def _until_recorded(house: House) -> None:
    async def recorded() -> bool:
        return not await house.look.fetchval("SELECT count(*) FROM job WHERE state <> 'done'")

    await house.until(recorded, within_s=30)


def _tell(
    report: Report, found: dict[str, dict[str, list[float]]], medians: dict[str, dict[str, float]]
) -> None:
    for load, title in TITLES.items():
        report.say(title)
        report.table(
            ["system", "set up", "jobs/s, median (range)", "RQ layer alone is", "with the ledger is"],
            [
                [
                    CONTENDERS[name].title,
                    CONTENDERS[name].crew(load).setup,
                    f"{rates[load]:,.0f} ({min(found[name][load]):,.0f}–{max(found[name][load]):,.0f})",
                    *(times(medians, ours, name, load) for ours in ("bare", "ours")),
                ]
                for name, rates in medians.items()
            ],
        )


def _targets(medians: dict[str, dict[str, float]]) -> list[Target]:
    if set(medians) != set(CONTENDERS):
        return []
    fastest = {load: max(medians[name][load] for name in PEERS) for load in LOADS}
    who = {load: max(PEERS, key=lambda name: medians[name][load]) for load in LOADS}
    bare, ours, stock, safe = (medians[name] for name in ("bare", "ours", "rq", "celery_safe"))
    return [
        Target("RQ layer, no-op: times stock RQ", bare["noop"] / stock["noop"], least=80),
        Target(
            f"RQ layer, no-op: times the fastest peer ({who['noop']})",
            bare["noop"] / fastest["noop"],
            least=1.5,
        ),
        Target(
            f"RQ layer, 5 ms: times the fastest peer ({who['wait']})", bare["wait"] / fastest["wait"], least=1
        ),
        Target("with the ledger, no-op: times stock RQ", ours["noop"] / stock["noop"], least=10),
        Target("with the ledger, no-op: times Celery acks late", ours["noop"] / safe["noop"], least=1),
        Target("with the ledger, 5 ms: times Celery acks late", ours["wait"] / safe["wait"], least=1),
    ]
