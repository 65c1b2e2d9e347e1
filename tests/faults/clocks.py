"""Clocks that are wrong in one process and right beside it, by libfaketime."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import psutil
import pytest

from tests.processes import Installation

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
needs_libfaketime = pytest.mark.skipif(
    LIBRARY is None, reason="libfaketime is not installed: apt-get install libfaketime"
)
SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Clock:
    """The wall clock of the processes that are started with `environment`; monotonic clocks stay right."""

    file: Path

    def show(self, offset_s: int) -> None:
        """Let the clock be wrong by so many seconds from now on, in running processes too."""
        beside = self.file.with_suffix(".new")
        beside.write_text(f"{offset_s:+d}\n", encoding="ascii")
        beside.replace(self.file)

    @property
    def environment(self) -> dict[str, str]:
        """What a process is to be started with."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@contextmanager
def clocks(folder: Path, *names: str) -> Iterator[dict[str, Clock]]:
    """Make a right clock for each name."""
    made = {name: Clock(folder / f"{name}.clock") for name in names}
    for clock in made.values():
        clock.show(0)
    try:
        yield made
    finally:
        _forget_the_dead()


async def offset_s(house: Installation, role: str) -> float:
    """Return by how many seconds a role's clock is wrong, as it dates its answers itself."""
    async with httpx.AsyncClient(timeout=5) as client:
        answer = await client.get(f"http://127.0.0.1:{house.addresses.ports[role]}/healthz")
    return parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()


def _forget_the_dead() -> None:
    # A killed process leaves these behind, and the next one of its pid would stumble over them.
    for file in SHARED_MEMORY.glob("*faketime_s*"):
        pid = file.name.rpartition("_")[2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            with suppress(OSError):
                file.unlink()
