"""Our worker with the scheduler bench's kinds in its catalogue; `--scheduler` is our scheduler with the same.

The scheduler notes what each of its cycles cost, where BENCH_CYCLES names a file for it.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from prometheus_client import Histogram

from benches import jobs_work
from server.queue.kinds import Urgency, handles, job
from server.queue.run import Run
from server.scheduler import run_scheduler
from server.worker.__main__ import main

CYCLE = struct.Struct("=ddd")
ENTRIES_AT_MOST = 100


@job(queue="default", urgency=Urgency.FOLLOW_UP, timeout_s=60, retry_after_s=())
@dataclass(frozen=True)
class Tick:
    """A slot's job."""

    entry: int
    slot: datetime


@job(queue="default", urgency=Urgency.REPLY, timeout_s=60, retry_after_s=())
@dataclass(frozen=True)
class DueReply:
    """A delayed job of the first class."""

    number: int


@job(queue="default", urgency=Urgency.FOLLOW_UP, timeout_s=60, retry_after_s=())
@dataclass(frozen=True)
class DueFollowUp:
    """A delayed job of the second class."""

    number: int


@job(queue="default", urgency=Urgency.PUSH, timeout_s=60, retry_after_s=())
@dataclass(frozen=True)
class DuePush:
    """A delayed job of the third class."""

    number: int


@job(queue="low", urgency=Urgency.BROADCAST, timeout_s=60, retry_after_s=())
@dataclass(frozen=True)
class DueBroadcast:
    """A delayed job of the fourth class."""

    number: int


@job(queue="maintenance", urgency=Urgency.UPKEEP, timeout_s=60, retry_after_s=())
@dataclass(frozen=True)
class DueUpkeep:
    """A delayed job of the last class."""

    number: int


DUE = (DueReply, DueFollowUp, DuePush, DueBroadcast, DueUpkeep)


@handles(Tick)
async def tick_job(_run: Run, payload: Tick) -> None:
    jobs_work.mark(int(payload.slot.timestamp()) * ENTRIES_AT_MOST + payload.entry)


@handles(DueReply)
@handles(DueFollowUp)
@handles(DuePush)
@handles(DueBroadcast)
@handles(DueUpkeep)
async def due_job(_run: Run, _payload: object) -> None:
    return


@dataclass(frozen=True)
class Cycle:
    """A cycle of a scheduler: when it ended, how long it took, and what CPU its process had used by then."""

    at: float
    took_s: float
    cpu_s: float


class NotedCycles:
    """Stands for the scheduler's histogram and notes each cycle in a file, too."""

    def __init__(self, counted: Histogram, file: Path) -> None:
        self._counted = counted
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def observe(self, took_s: float) -> None:
        """Note a cycle that ended now."""
        self._counted.observe(took_s)
        os.write(self._file, CYCLE.pack(time.monotonic(), took_s, time.process_time()))


def read_cycles(file: Path) -> list[Cycle]:
    """Return what was noted, in order."""
    return [Cycle(*fields) for fields in CYCLE.iter_unpack(file.read_bytes())] if file.exists() else []


def keep_time() -> int:
    """Be the scheduler."""
    if "BENCH_CYCLES" in os.environ:
        noted = NotedCycles(run_scheduler.CYCLE_SECONDS, Path(os.environ["BENCH_CYCLES"]))
        run_scheduler.CYCLE_SECONDS = noted  # type: ignore[assignment]
    return run_scheduler.main()


if __name__ == "__main__":
    sys.exit(keep_time() if "--scheduler" in sys.argv else main())
