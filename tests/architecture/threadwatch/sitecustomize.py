# ruff: noqa: INP001 -- a folder on a process's path, not a package
"""Put on a process's path by test_threads: writes down from where each of its threads was started."""

from __future__ import annotations

import _thread
import os
import threading
import traceback
from pathlib import Path
from typing import Any


def _watched(original: Any) -> Any:
    def start(*arguments: Any, **named: Any) -> Any:
        with Path(os.environ["THREADS_SEEN"]).open("a", encoding="utf-8") as seen:
            seen.write("".join(traceback.format_stack()[:-1]) + "\n")
        return original(*arguments, **named)

    return start


# `threading` keeps its own names of the two primitives, which executors reach through it.
for module in (_thread, threading):
    for name in ("start_new_thread", "_start_new_thread", "start_joinable_thread", "_start_joinable_thread"):
        if hasattr(module, name):
            setattr(module, name, _watched(getattr(module, name)))
