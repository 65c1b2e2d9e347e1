"""A tiny child for the supervisor's tests: notes when it starts and stops, and does what it is told.

python dummy.py NAME NOTES [deaf] [die] [talk]
"""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

name, notes, *habits = sys.argv[1:]


def note(what: str) -> None:
    with Path(notes).open("a", encoding="utf-8") as file:
        file.write(f"{name} {what} {os.getpid()}\n")


def stop(_number: int, _frame: FrameType | None) -> None:
    note("stopped")
    sys.exit(0)


signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in habits else stop)
# Before it counts as ready: later it would have started, and be started again.
if "die" in habits:
    sys.exit(3)
note("started")
if "talk" in habits:
    sys.stdout.write("שלום from the child\nno line end")
    sys.stdout.flush()
while True:
    time.sleep(60)
