"""What one job costs: from asking to its start, PostgreSQL statements and round trips, memory."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, quote, urlsplit

import psutil

from benches.jobs_house import BUSINESS, OUR_WORKER, House
from benches.jobs_ours import Hold, Noop
from benches.jobs_report import Target
from server.queue import enqueue

ASKED = 300
BUSY = 10_000
AT_ONCE = 500
HELD_S = 2.0
HEAD = 5
MEBIBYTE = 1024**2


async def idle_start(house: House) -> list[Target]:
    """Ask for one job after the other, of a worker that has nothing else to do."""
    await house.clear()
    waits: list[float] = []
    with house.running(OUR_WORKER, env=house.ours()):
        for number in range(ASKED + 1):
            asked_at = time.monotonic()
            async with house.database.transaction(BUSINESS) as session:
                await enqueue(session, Noop(number), business_id=BUSINESS)
            marks = await house.until_marked(number + 1, within_s=30)
            # The first one waits for the worker to come up.
            waits += [(marks[-1].at - asked_at) * 1000] if number else []
            await asyncio.sleep(random.uniform(0.02, 0.06))
    cuts = statistics.quantiles(waits, n=100)
    return [
        Target("enqueue (its transaction included) → start, idle, p50", cuts[49], "ms"),
        Target("enqueue (its transaction included) → start, idle, p99", cuts[98], "ms", most=50),
    ]


async def statements(house: House) -> list[Target]:
    """Count what the worker sends to PostgreSQL, on the wire, busy and job by job."""
    found: list[Target] = []
    async with counting(house.database_url) as (url, sent):
        await house.clear()
        await house.ask([Noop(number) for number in range(BUSY)])
        before = await redis_commands(house)
        with house.running(OUR_WORKER, env=house.ours(DATABASE_URL=url)):
            await house.until_marked(BUSY, within_s=60)
            found += _per_job("a backlog", sent, BUSY)
            commands = await redis_commands(house) - before
            found.append(
                Target("Redis commands a job, a backlog, those in scripts included", commands / BUSY)
            )
            await asyncio.sleep(2)
            found += await _one_by_one(house, sent)
    return found


async def _one_by_one(house: House, sent: Counter[str]) -> list[Target]:
    sent.clear()
    began = time.monotonic()
    await asyncio.sleep(5)
    idle = {kind: count / (time.monotonic() - began) for kind, count in sent.items()}
    sent.clear()
    began = time.monotonic()
    for number in range(100):
        await house.ask([Noop(BUSY + number)])
        await house.until_marked(BUSY + number + 1, within_s=10)
        await asyncio.sleep(0.03)
    passed = time.monotonic() - began
    own = Counter({kind: max(0, round(count - idle.get(kind, 0) * passed)) for kind, count in sent.items()})
    return _per_job("one at a time", own, 100)


def _per_job(when: str, sent: Counter[str], jobs: int) -> list[Target]:
    return [
        Target(f"PostgreSQL statements a job, {when}", (sent["E"] + sent["Q"]) / jobs),
        Target(f"PostgreSQL round trips a job, {when}", (sent["S"] + sent["Q"]) / jobs),
    ]


async def redis_commands(house: House) -> int:
    stats = await house.redis.info("commandstats")
    return sum(one["calls"] for one in stats.values())


@asynccontextmanager
async def counting(database_url: str) -> AsyncIterator[tuple[str, Counter[str]]]:
    """Stand between the worker and PostgreSQL; yields an address and what passed, by message type.

    In PostgreSQL's protocol E executes a prepared statement, Q a text, and S or Q awaits an answer.
    """
    asked = urlsplit(database_url)
    target = Path(parse_qs(asked.query)["host"][0]) / ".s.PGSQL.5432"
    sent: Counter[str] = Counter()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, out = await asyncio.open_unix_connection(target)
        await asyncio.gather(_count(reader, out, sent), _pass(there, writer), return_exceptions=True)

    with TemporaryDirectory() as folder:
        server = await asyncio.start_unix_server(serve, Path(folder) / ".s.PGSQL.5432")
        query = f"host={quote(folder, safe='')}&port=5432"
        async with server:
            yield asked._replace(query=query).geturl(), sent


async def _count(reader: asyncio.StreamReader, out: asyncio.StreamWriter, sent: Counter[str]) -> None:
    # The first message has a length and no type.
    length = await reader.readexactly(4)
    out.write(length + await reader.readexactly(int.from_bytes(length) - 4))
    while True:
        head = await reader.readexactly(HEAD)
        sent[chr(head[0])] += 1
        out.write(head + await reader.readexactly(int.from_bytes(head[1:]) - 4))


async def _pass(reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
    while read := await reader.read(65536):
        out.write(read)
    out.close()


async def waiting(house: House) -> list[Target]:
    """Have one process run 500 jobs of 2 s at once, twice: the second time everything is open."""
    await house.clear()
    env = house.ours(WORKER_PROCESSES="1", WORKER_CONCURRENCY=str(AT_ONCE))
    found: list[Target] = []
    with house.running(OUR_WORKER, env=env) as pids:
        await house.ask([Noop(-1)])
        await house.until_marked(1, within_s=30)
        for turn, name in enumerate(("first", "second")):
            asked_at = time.monotonic()
            await house.ask([Hold(turn * AT_ONCE + number, HELD_S) for number in range(AT_ONCE)])
            most = 0.0
            while await house.look.fetchval("SELECT count(*) FROM job WHERE state <> 'done'"):
                most = max([most, *rss_mb(pids)])
                await asyncio.sleep(0.02)
            passed = time.monotonic() - asked_at
            found.append(
                Target(f"500 jobs of 2 s on one process, asking included, {name}", passed, "s", most=3)
            )
        found.append(Target("memory of that process (RSS)", most, "MB", most=300))
    return found


def rss_mb(pids: Sequence[int]) -> Iterator[float]:
    for pid in pids:
        for child in psutil.Process(pid).children():
            with _gone():
                yield child.memory_info().rss / MEBIBYTE


@contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess:
        return
