"""Programs made of `dummy.py`, and how the tests look at them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from server.stack.child import Program
from server.stack.waiting import poll

DUMMY = Path(__file__).with_name("dummy.py")


def dummy(name: str, notes: Path, *habits: str, stop_grace_s: float = 5.0) -> Program:
    """Describe a dummy that counts as ready once it has noted its start."""
    starts_before = notes_of(notes, name, "started")

    async def has_started() -> bool:
        return notes_of(notes, name, "started") > starts_before

    return Program(
        name=name,
        argv=(sys.executable, "-S", str(DUMMY), name, str(notes), *habits),
        env=os.environ,
        stop_grace_s=stop_grace_s,
        ready=has_started,
    )


def lines_of(notes: Path) -> list[list[str]]:
    """Return what the dummies noted, in order: name, what, process id."""
    return [line.split() for line in notes.read_text(encoding="utf-8").splitlines()] if notes.exists() else []


def notes_of(notes: Path, name: str, what: str) -> list[int]:
    """Return the ids of the processes of this name that noted this."""
    return [int(pid) for who, did, pid in lines_of(notes) if (who, did) == (name, what)]


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


async def eventually(is_true: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait until something is true, or fail."""

    async def asked() -> bool:
        return is_true()

    assert await poll(asked, within_s=within_s), "it did not come true in time"
