"""How many webhooks one api process accepts a second, stored durably, beside its peers.

Every contender is one uvicorn process with uvloop and httptools; PostgreSQL with fsync, Valkey
with AOF, both on unix sockets; wrk with 128 connections, so that a disk that is slow to confirm
leaves no core without work; rounds in shuffled order. PostgreSQL's log goes into segments that were
there before, as in a database that has been in service: a new one makes each of them first. Read the
ratios: the machine is shared. Afterwards ours alone at seven tenths of its most, by connections that
pause between their requests.

    ./run bench webhook [--rounds 6] [--seconds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx

from server.db.migrate import upgrade
from server.db.tenancy import credential_digest
from server.secrets import Cipher
from server.stack.postgres import Postgres, PostgresOptions
from server.stack.sockets import any_free_port, make_socket_folder
from server.stack.valkey import Valkey, ValkeyOptions

SECRET = "bench-secret"
SECRET_KEY = "k" * 40
HERE = Path(__file__).parent
TARGETS = {"bare": 0.5, "one_insert": 2.0, "insert_and_enqueue": 4.0}
CONNECTIONS = 128
SHARE = 0.7
MOST_P99_MS = 100.0
# A pause is tried this often before it counts; the rate that it leads to depends on the answers' time.
TRIALS = 4
SEGMENTS = 60
FILL_SEGMENT = """
SELECT count(pg_logical_emit_message(false, 'bench', repeat('x', 1000000))) FROM generate_series(1, 16)
"""
MEANS = {
    "ours": "ours: stored, deduplicated, job asked and dispatched",
    "bare": "bare endpoint: checks the secret and answers",
    "one_insert": "FastAPI + asyncpg, one insert and one push a request",
    "insert_and_enqueue": "FastAPI + asyncpg, one insert and one rq.enqueue",
    "enqueue_only": "FastAPI + rq.enqueue, nothing stored",
}


@dataclass(frozen=True)
class Round:
    """What one burst measured."""

    rps: float
    p99_ms: float
    failed: int


async def main() -> int:
    """Run the rounds, print the table; exit code 1 when a target is missed."""
    options = arguments()
    if not shutil.which("wrk"):
        sys.stderr.write("wrk is needed: apt-get install wrk\n")
        return 2
    async with stores() as environ:
        found: dict[str, list[Round]] = {name: [] for name in MEANS}
        for number in range(options.rounds):
            for name in random.sample(list(MEANS), len(MEANS)):
                async with contender(name, environ) as port:
                    await load(port, f"warm{number}{name}", seconds=1)
                    found[name].append(await load(port, f"r{number}{name}", seconds=options.seconds))
        most = statistics.median(one.rps for one in found["ours"])
        async with contender("ours", environ) as port:
            paced = await paced_load(port, SHARE * most, seconds=options.seconds)
        await require_everything_stored(environ["DATABASE_URL"])
    return report(found) | report_paced(paced, most)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Webhooks accepted a second, beside the usual designs.")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=3)
    return parser.parse_args()


@asynccontextmanager
async def stores() -> AsyncIterator[dict[str, str]]:
    """PostgreSQL and Valkey of the bench's own, with the demo business's channel in place."""
    sockets = make_socket_folder()
    with tempfile.TemporaryDirectory() as folder:
        postgres = Postgres(PostgresOptions(data=Path(folder) / "pg", sockets=sockets))
        valkey = Valkey(ValkeyOptions(data=Path(folder) / "redis", socket=sockets / "redis.sock"))
        await postgres.start()
        await valkey.start()
        try:
            await postgres.ensure_database("bench")
            url = postgres.url("bench")
            await upgrade(url)
            await make_channel(url)
            await use_log_segments(url)
            yield {"DATABASE_URL": url, "REDIS_URL": valkey.url(0), "SECRET_KEY": SECRET_KEY}
        finally:
            await valkey.stop()
            await postgres.stop()
            shutil.rmtree(sockets, ignore_errors=True)


async def make_channel(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("INSERT INTO business (id, name) VALUES (6, 'bench')")
    await connection.execute(
        "INSERT INTO channel (business_id, kind, base_url, secret_encrypted, token_digest)"
        " VALUES (6, 'whatsapp_bridge', 'http://127.0.0.1:1', $1, $2)",
        Cipher(SECRET_KEY).encrypt(SECRET),
        credential_digest(SECRET),
    )
    await connection.close()


async def use_log_segments(url: str) -> None:
    """Fill as many segments of the log as the rounds will, and have them used again from here on."""
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER SYSTEM SET min_wal_size = '1GB'")
    await connection.execute("SELECT pg_reload_conf()")
    for _ in range(SEGMENTS):
        await connection.execute(FILL_SEGMENT)
    await connection.execute("CHECKPOINT")
    await connection.execute("SELECT pg_switch_wal()")
    await connection.execute("CHECKPOINT")
    await connection.close()


@asynccontextmanager
async def contender(name: str, environ: Mapping[str, str]) -> AsyncIterator[int]:
    """Start one contender as its own process; yields its port."""
    port = any_free_port()
    theirs = {
        "BENCH_SECRET": SECRET,
        "BENCH_DATABASE_URL": environ["DATABASE_URL"],
        "BENCH_REDIS_URL": environ["REDIS_URL"],
    }
    ours = dict(environ) | {"SERVICE_ROLE": "api", "PORT": str(port), "LOG_LEVEL": "info"}
    peer = [
        "uvicorn",
        f"benches.webhook_peers:{name}",
        "--port",
        str(port),
        "--loop",
        "uvloop",
        "--http",
        "httptools",
    ]
    command = ["server"] if name == "ours" else [*peer, "--no-access-log", "--log-level", "warning"]
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *command,
            env=os.environ | theirs | ours,
            stdout=log,
            stderr=log,
            cwd=HERE.parent,
        )
        try:
            await until_it_listens(port)
            yield port
        finally:
            process.terminate()
            await process.wait()


async def until_it_listens(port: int) -> None:
    deadline = asyncio.get_running_loop().time() + 20
    async with httpx.AsyncClient() as client:
        while asyncio.get_running_loop().time() < deadline:
            try:
                await client.get(f"http://127.0.0.1:{port}/healthz")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
    raise TimeoutError(f"nothing listens on {port}")


async def paced_load(port: int, rps: float, *, seconds: int) -> Round:
    """Load one contender at about this rate, whatever it could take."""
    pause_ms = CONNECTIONS / rps * 1000
    for number in range(TRIALS):
        told = await load(port, f"trial{number}", seconds=2, pause_ms=pause_ms)
        pause_ms = max(0.1, pause_ms + (CONNECTIONS / rps - CONNECTIONS / told.rps) * 1000)
    return await load(port, "paced", seconds=2 * seconds, pause_ms=pause_ms)


async def load(port: int, run: str, *, seconds: int, pause_ms: float = 0) -> Round:
    """Load one contender with wrk."""
    process = await asyncio.create_subprocess_exec(
        *(
            "wrk",
            "-t",
            "1",
            "-c",
            str(CONNECTIONS),
            "-d",
            f"{seconds}s",
            "--latency",
            "-s",
            str(HERE / "webhook_load.lua"),
        ),
        *(f"http://127.0.0.1:{port}/webhook/whatsapp/incoming", "--", SECRET, run, f"{pause_ms:.3f}"),
        stdout=subprocess.PIPE,
    )
    output, _ = await process.communicate()
    [line] = [line for line in output.decode().splitlines() if line.startswith("RESULT ")]
    told = json.loads(line.removeprefix("RESULT "))
    return Round(told["requests"] / told["seconds"], told["p99_ms"], told["failed"])


async def require_everything_stored(url: str) -> None:
    """Fail unless every event of ours has exactly its one job: a fast path that loses is no path."""
    connection = await asyncpg.connect(url)
    events = await connection.fetchval("SELECT count(*) FROM inbox_event")
    jobs = await connection.fetchval("SELECT count(*) FROM job WHERE kind = 'webhook_process_job'")
    await connection.close()
    if not events or events != jobs:
        raise SystemExit(f"{events} events, {jobs} jobs: something was lost")
    print(f"{events} events stored, {jobs} jobs asked for")


def report(found: Mapping[str, list[Round]]) -> int:
    """Print medians and ratios; return 1 when a target is missed."""
    medians = {name: statistics.median(one.rps for one in rounds) for name, rounds in found.items()}
    for name, rounds in found.items():
        p99_ms = statistics.median(one.p99_ms for one in rounds)
        spread = f"{min(one.rps for one in rounds):.0f}-{max(one.rps for one in rounds):.0f}"
        failed = sum(one.failed for one in rounds)
        print(f"{MEANS[name]:52} {medians[name]:7.0f} rps [{spread}]  p99 {p99_ms:5.1f} ms  failed {failed}")
    missed = 0
    for name in [name for name in MEANS if name != "ours"]:
        ratio = medians["ours"] / medians[name]
        missed += ratio < TARGETS.get(name, 0)
        target = f"  (target {TARGETS[name]})" if name in TARGETS else ""
        print(f"ours / {name:18} {ratio:5.2f}{target}")
    return 1 if missed or any(one.failed for one in found["ours"]) else 0


def report_paced(paced: Round, most: float) -> int:
    """Print what one api process does below its most; return 1 when its target is missed."""
    print(
        f"ours at {paced.rps:.0f} rps, {paced.rps / most:.0%} of its most:"
        f" p99 {paced.p99_ms:.1f} ms (target {MOST_P99_MS:.0f}), failed {paced.failed}"
    )
    return int(paced.p99_ms > MOST_P99_MS or paced.failed > 0)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
