"""One log of many processes: every line behind its process's name, in colour on a terminal."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TextIO

_NAME_WIDTH = 9
_LONGEST_LINE = 64 * 1024
# Bright tones that read on dark and on light grounds; the same name always has the same one.
_TONES = (36, 32, 33, 35, 34, 31, 96, 92)


class MergedLog:
    """Writes prefixed lines to a stream; a reader that went away does not stop the system."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._coloured = self._stream.isatty() and not os.environ.get("NO_COLOR")
        self._names: dict[str, int] = {}

    def write(self, name: str, line: str) -> None:
        """Write one line under a name."""
        tone = self._names.setdefault(name, _TONES[len(self._names) % len(_TONES)])
        prefix = f"{name:<{_NAME_WIDTH}} |"
        if self._coloured:
            prefix = f"\033[{tone}m{prefix}\033[0m"
        try:
            self._stream.write(f"{prefix} {line}\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = _nowhere()

    async def pipe(self, name: str) -> int:
        """Open a pipe whose lines are written under a name; returns the end for the child."""
        reading, writing = os.pipe()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: _Lines(self, name), os.fdopen(reading, "rb", buffering=0)
        )
        return writing


class _Lines(asyncio.Protocol):
    """Cuts what a child writes into lines."""

    def __init__(self, log: MergedLog, name: str) -> None:
        self._log = log
        self._name = name
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Write the whole lines, keep the rest."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._write(line)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio names it
        """Write what the child left without a line's end."""
        if self._rest:
            self._write(self._rest)

    def _write(self, line: bytes) -> None:
        self._log.write(self._name, line.decode(errors="replace").rstrip("\r"))


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - stays open for the rest of the run
