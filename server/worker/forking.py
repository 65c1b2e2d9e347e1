"""Forking a process that dies with its parent."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)
# A process that cannot even say what went wrong.
BROKEN = 70
STANDARD_ERROR = 2


def fork(main: Callable[[], int], *, keep: Collection[int] = ()) -> int:
    """Run `main` in a forked process and return its pid; its answer becomes the exit code.

    The process keeps the standard streams and the file descriptors in `keep`, nothing else. It is
    killed when its parent dies, however that happens.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = BROKEN
    try:
        _die_with(parent)
        # Ctrl-C in a terminal reaches the whole group: it is the parent's to answer.
        os.setpgid(0, 0)
        # What the parent's objects stand for is not ours: never let them be collected here.
        gc.freeze()
        _forget_loop()
        _let_go_of_all_but(keep)
        code = main()
    except BaseException:  # noqa: BLE001 -- nothing may climb into the parent's frames
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(BROKEN)


def _forget_loop() -> None:
    signal.set_wakeup_fd(-1)
    for number in HANDLED:
        signal.signal(number, signal.SIG_DFL)
    asyncio.set_event_loop(None)


def _let_go_of_all_but(keep: Collection[int]) -> None:
    """Point every inherited descriptor at nothing.

    Its number stays taken: objects of the parent's may still close it, and would close one of ours.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for entry in list(Path("/dev/fd").iterdir()):
        number = int(entry.name)
        if number > STANDARD_ERROR and number != nowhere and number not in keep:
            # The listing itself held one of them, and let it go.
            with suppress(OSError):
                os.fstat(number)
                os.dup2(nowhere, number, inheritable=False)
