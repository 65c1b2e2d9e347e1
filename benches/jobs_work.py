"""What every contender's jobs do: next to nothing, or wait 5 ms; and the mark that each leaves.

A mark is one atomic append of a few bytes to a file: the same, and all but free, for processes,
threads and forks alike. The moment is that of the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MARK = struct.Struct("=dqq")
WAIT_S = 0.005
REDIS_URL = os.environ.get("BENCH_REDIS_URL", "")


@dataclass(frozen=True)
class Mark:
    """When which job was run by which process."""

    at: float
    number: int
    pid: int


def mark(number: int = 0) -> None:
    """Note that a job ran."""
    os.write(_file(), MARK.pack(time.monotonic(), number, os.getpid()))


@cache
def _file() -> int:
    return os.open(os.environ["BENCH_MARKS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def count_marks(file: Path) -> int:
    """Return how many jobs ran so far."""
    return file.stat().st_size // MARK.size if file.exists() else 0


def read_marks(file: Path) -> list[Mark]:
    """Return what ran, in order."""
    return [Mark(*fields) for fields in MARK.iter_unpack(file.read_bytes())] if file.exists() else []


def noop() -> None:
    """Do nothing."""
    mark()


def wait() -> None:
    """Wait as a blocking call to a provider does."""
    time.sleep(WAIT_S)
    mark()


async def async_noop(*_: object, **__: object) -> None:
    """Do nothing; frameworks hand over what they like."""
    mark()


async def async_wait(*_: object, **__: object) -> None:
    """Wait as an asynchronous call to a provider does."""
    await asyncio.sleep(WAIT_S)
    mark()
