"""A worker that also knows kinds which break their process, each in its way; for the tests of the supervisor.

`python -m tests.worker.rough_jobs` is `python -m server.worker` with these kinds in the catalogue.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from server.queue.run import Run
from server.worker.__main__ import main
from tests.engine import job_kind


@dataclass(frozen=True)
class Rough:
    """Do `deed` to this process."""

    deed: str
    number: int = 0


@dataclass(frozen=True)
class RoughAlone:
    """Do `deed` to a process of its own."""

    deed: str
    number: int = 0


async def rough_job(_run: Run, payload: Rough) -> None:
    """Wait a moment, then do the deed."""
    await asyncio.sleep(0.3)
    await do(payload.deed)


async def rough_alone_job(_run: Run, payload: RoughAlone) -> None:
    """Do the deed at once."""
    await do(payload.deed)


async def do(deed: str) -> None:
    """Do one of the deeds."""
    done = DEEDS[deed]()
    if done is not None:
        await done


def _eat_memory() -> None:
    hoard = []
    while True:
        hoard.append(bytes(16 * 1024 * 1024))


def _segfault() -> None:
    ctypes.memset(0, 0, 1)


async def _kill_from_a_task() -> None:
    await asyncio.gather(asyncio.create_task(_kill_later()))


async def _kill_later() -> None:
    await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


DEEDS: dict[str, Callable[[], Awaitable[None] | None]] = {
    "segfault": _segfault,
    "exit": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "block": lambda: time.sleep(3600),
    "from a task of its own": _kill_from_a_task,
    "eat memory": _eat_memory,
    "wait": lambda: asyncio.sleep(3),
    "wait long": lambda: asyncio.sleep(3600),
    "nothing": lambda: None,
}


@contextmanager
def rough_kinds() -> Iterator[None]:
    """Put both kinds in the catalogue while the block runs."""
    with (
        job_kind(Rough, rough_job, timeout_s=60),
        job_kind(RoughAlone, rough_alone_job, timeout_s=2, isolated=True),
    ):
        yield


if __name__ == "__main__":
    with rough_kinds():
        sys.exit(main())
