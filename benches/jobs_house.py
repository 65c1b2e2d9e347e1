"""Where the job benches run: PostgreSQL and Valkey of their own, and processes that end with them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from benches.jobs_work import Mark, count_marks, read_marks
from server.db.migrate import upgrade
from server.db.session import Database
from server.queue.asking import Asked, Dispatch, insert
from server.queue.connection import connect_redis
from server.queue.dispatch import Dispatcher
from server.queue.sweeper import GENERATION_KEY, WHOLE
from server.stack.postgres import Postgres, PostgresOptions
from server.stack.sockets import any_free_port, make_socket_folder
from server.stack.valkey import Valkey, ValkeyOptions

BUSINESS = 6
ROOT = Path(__file__).parent.parent
PYTHON = sys.executable
POLL_S = 0.02
AT_A_TIME = 5000


@dataclass(frozen=True)
class House:
    """The stores, what the bench asks and looks with, and the file of marks."""

    database_url: str
    redis_url: str
    folder: Path
    database: Database
    redis: Redis
    dispatcher: Dispatcher
    look: asyncpg.Connection

    @property
    def marks_file(self) -> Path:
        """The file that every job leaves its mark in."""
        return self.folder / "marks"

    @property
    def log(self) -> Path:
        """What the processes write."""
        return self.folder / "log.txt"

    @property
    def marks(self) -> list[Mark]:
        """What ran so far, in order."""
        return read_marks(self.marks_file)

    def environ(self, **more: str) -> dict[str, str]:
        """Return what every process is started with."""
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "BENCH_MARKS": str(self.marks_file),
            "BENCH_REDIS_URL": self.redis_url,
            "BENCH_DATABASE_URL": self.database_url,
            **more,
        }

    def ours(self, role: str = "worker", **more: str) -> dict[str, str]:
        """Return the environment of a role of ours; two workers of a hundred jobs each."""
        told = {
            "SERVICE_ROLE": role,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "SECRET_KEY": "k" * 40,
            "HEALTH_PORT": str(any_free_port()),
            "LOG_LEVEL": "warning",
            "WORKER_CONCURRENCY": "100",
            # The counters are kept in files, as in production: decided as the library is imported.
            "PROMETHEUS_MULTIPROC_DIR": tempfile.mkdtemp(dir=self.folder),
        }
        return self.environ(**(told | more))

    async def clear(self) -> None:
        """Forget all jobs, in both stores, and all marks."""
        await self.redis.flushall()
        # As if a scheduler had looked before: this Redis is not one that lost something.
        await self.redis.set(GENERATION_KEY, WHOLE)
        await self.look.execute("TRUNCATE job CASCADE")
        self.marks_file.unlink(missing_ok=True)

    async def ask(self, payloads: Iterable[object]) -> None:
        """Ask for jobs as the api does, many in a transaction."""
        dispatches: list[Dispatch] = []
        asked = [Asked(payload, BUSINESS) for payload in payloads]
        for start in range(0, len(asked), AT_A_TIME):
            async with self.database.driver_transaction(BUSINESS) as connection:
                dispatches += await insert(connection, asked[start : start + AT_A_TIME])
        await self.dispatcher.send(dispatches)

    async def until_marked(self, count: int, *, within_s: float) -> list[Mark]:
        """Wait until so many jobs left their mark; return the marks."""
        await self.until(lambda: count_marks(self.marks_file) >= count, within_s=within_s)
        return self.marks

    async def until(
        self, holds: Callable[[], bool | Awaitable[bool]], *, within_s: float, every_s: float = POLL_S
    ) -> None:
        """Wait until a condition holds; raise TimeoutError, with what the processes wrote, after that."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    held = holds()
                    if held if isinstance(held, bool) else await held:
                        return
                    await asyncio.sleep(every_s)
        except TimeoutError:
            wrote = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
            raise TimeoutError(f"not within {within_s} s; the processes wrote: {wrote}") from None

    @contextmanager
    def running(self, *commands: Sequence[str], env: Mapping[str, str]) -> Iterator[list[int]]:
        """Run commands while the block runs; yields their pids, each the leader of its group."""
        with self.log.open("ab") as output, ExitStack() as stack:
            pids = []
            for command in commands:
                process = subprocess.Popen(
                    command, env=dict(env), cwd=ROOT, stdout=output, stderr=output, start_new_session=True
                )
                stack.callback(_end, process)
                pids.append(process.pid)
            yield pids


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    # Some leave children of theirs behind.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@asynccontextmanager
async def open_house() -> AsyncIterator[House]:
    """Start both stores, durable as in production, with the schema and one business in place."""
    sockets = make_socket_folder()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        postgres = Postgres(PostgresOptions(data=folder / "pg", sockets=sockets))
        valkey = Valkey(ValkeyOptions(data=folder / "redis", socket=sockets / "redis.sock"))
        try:
            await valkey.start()
            await postgres.start()
            await postgres.ensure_database("bench")
            await upgrade(postgres.url("bench"))
            async with connected(postgres.url("bench"), valkey.url(), folder) as house:
                yield house
        finally:
            await valkey.stop()
            await postgres.stop()
            shutil.rmtree(sockets, ignore_errors=True)


@asynccontextmanager
async def connected(database_url: str, redis_url: str, folder: Path) -> AsyncIterator[House]:
    """Connect as the api does, and as one who sees everything."""
    look = await asyncpg.connect(database_url)
    await look.execute("INSERT INTO business (id, name) VALUES ($1, 'bench')", BUSINESS)
    database = Database(database_url, role="prosaas_api")
    redis = connect_redis(redis_url)
    dispatcher = Dispatcher(database, redis)
    database.announce = dispatcher.announce
    try:
        yield House(database_url, redis_url, folder, database, redis, dispatcher, look)
    finally:
        await dispatcher.flushed()
        await redis.aclose()
        await database.aclose()
        await look.close()


OUR_WORKER = (PYTHON, "-m", "benches.jobs_ours")
