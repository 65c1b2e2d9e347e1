"""Named places at which a fault test ends a process, freezes it or lets it raise.

PROSAAS_CRASH_POINT is `name[:kill|stop|raise][:nth]`: at the nth passing of that place the process
sends itself SIGKILL (as where nothing is said), SIGSTOP, or raises. PROSAAS_CRASH_ONCE names a file that
the first process to crash makes; where it exists nobody crashes, so that whoever takes over lives.
Without the first variable a crash point is an empty function.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias


class CrashPoint(StrEnum):
    """Every place on a job's way at which a death means something of its own."""

    # Taken from Redis, not claimed.
    AFTER_POP = "after_pop"
    AFTER_CLAIM = "after_claim"
    # The effect is planned, and nothing says that it is being sent.
    BEFORE_SENDING = "before_sending"
    # The row says `sending`, nothing is on the wire.
    AFTER_SENDING = "after_sending"
    # The provider took it, nothing says so.
    AFTER_ACCEPTED = "after_accepted"
    AFTER_SENT = "after_sent"
    BEFORE_FINISH = "before_finish"
    # The end is committed, RQ does not know of it.
    AFTER_FINISH = "after_finish"


Crash: TypeAlias = Callable[[CrashPoint], None]


class CrashedError(RuntimeError):
    """What a crash point raises when it is told to raise: a bug, as far as its caller knows."""


def armed(told: str, once: str = "") -> Crash:
    """Return what every crash point calls, from the words of the two variables."""
    if not told:
        return _pass
    name, _, rest = told.partition(":")
    action, _, nth = rest.partition(":")
    chosen, crash, passings = CrashPoint(name), _ACTIONS[action or "kill"], int(nth or 1)

    def pass_or_crash(point: CrashPoint) -> None:
        nonlocal passings
        if point is chosen:
            passings -= 1
            if passings == 0 and _is_first(once):
                crash()

    return pass_or_crash


def _pass(_point: CrashPoint) -> None:
    return


def _is_first(once: str) -> bool:
    if not once:
        return True
    try:
        Path(once).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _raise() -> None:
    raise CrashedError("told to by PROSAAS_CRASH_POINT")


_ACTIONS = {"kill": _kill, "stop": _stop, "raise": _raise}
crash_point = armed(os.environ.get("PROSAAS_CRASH_POINT", ""), os.environ.get("PROSAAS_CRASH_ONCE", ""))
