"""What one request to a provider costs in CPU: our transport, beside httpx's own.

One process sends bursts of requests that are all under way at once, to a server in another process that
answers after 50 ms. Bursts of the contenders follow each other in shuffled order, so that all of them meet
the same machine. Read the ratios.

    ./run bench http [--rounds 10]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import uvloop

from benches.jobs_report import Report, Target, figure
from server.providers.connections import IDLE_S, MOST_CONNECTIONS, open_connections
from server.stack.sockets import any_free_port

SERVER = Path(__file__).parent / "http_server.py"
BODY = b'{"to":"972501234567@s.whatsapp.net","text":"How much does it cost to open a locked door?"}'
OURS, PEER = "ours", "httpx's own transport"
LOADS = [(at_once, kept) for at_once in (20, 200) for kept in (True, False)]
LEAST_GAIN = 3.0


async def main() -> int:
    """Measure, print, and return 1 when ours costs more than a third of httpx's own with 200 under way."""
    parser = argparse.ArgumentParser(description="CPU of a request to a provider.")
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    spent: dict[tuple[str, int, bool], list[float]] = {}
    async with served() as url, AsyncExitStack() as stack:
        clients = {
            OURS: await stack.enter_async_context(open_connections()),
            PEER: await stack.enter_async_context(httpx.AsyncClient(limits=as_ours())),
        }
        for number in range(rounds + 1):
            bursts = [(name, *load) for name in clients for load in LOADS]
            random.shuffle(bursts)
            for name, at_once, kept in bursts:
                cost_us = await burst(clients[name], url, at_once, kept=kept)
                # The first of each opens connections and fills caches.
                if number:
                    spent.setdefault((name, at_once, kept), []).append(cost_us)
    return 0 if tell(spent) else 1


def as_ours() -> httpx.Limits:
    return httpx.Limits(max_connections=MOST_CONNECTIONS, keepalive_expiry=IDLE_S)


async def burst(http: httpx.AsyncClient, url: str, at_once: int, *, kept: bool) -> float:
    """Send so many requests at once; return this process's CPU for one of them, in microseconds."""
    headers = {"content-type": "application/json"} | ({} if kept else {"connection": "close"})
    before_s = time.process_time()
    answers = await asyncio.gather(
        *(http.post(url, content=BODY, headers=headers, timeout=30) for _ in range(at_once))
    )
    spent_s = time.process_time() - before_s
    assert all(answer.status_code == httpx.codes.OK for answer in answers)
    return spent_s / at_once * 1_000_000


def tell(spent: dict[tuple[str, int, bool], list[float]]) -> bool:
    """Print every figure and the verdicts; return whether the targets hold."""
    report = Report()
    medians = {what: statistics.median(costs_us) for what, costs_us in spent.items()}
    rows, targets = [], []
    for at_once, kept in LOADS:
        what = f"{at_once} at once, " + ("kept connections" if kept else "a connection each")
        ours_us, peer_us = medians[OURS, at_once, kept], medians[PEER, at_once, kept]
        gain = peer_us / ours_us
        rows.append([what, f"{figure(ours_us)} µs", f"{figure(peer_us)} µs", f"{figure(gain)} ×"])
        if at_once == MOST_CONNECTIONS:
            targets.append(Target(f"httpx's own ÷ ours, {what}", gain, "×", least=LEAST_GAIN))
    report.table(["CPU of a request", OURS, PEER, "gain"], rows)
    return report.targets(targets)


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """Run the server while the block runs; yield its address."""
    port = any_free_port()
    server = subprocess.Popen([sys.executable, str(SERVER), str(port)])  # noqa: ASYNC220 -- before the bursts
    try:
        await until_open(port)
        yield f"http://127.0.0.1:{port}/send"
    finally:
        server.terminate()
        server.wait(10)


async def until_open(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
