"""One process that we started: how it is spawned, waited for and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launch.py")
_POLL_S = 0.02


class AsUser(StrEnum):
    """Who a child runs as; the values are the launcher's options."""

    SAME = "same"
    NAMESPACE = "namespace"
    NOBODY = "nobody"


async def _always_ready() -> bool:
    return True


async def _nothing() -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to start, when it counts as ready, and how it is asked to end."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path | None = None
    as_user: AsUser = AsUser.SAME
    stop_signal: signal.Signals = signal.SIGTERM
    # What a child gets when its supervisor is killed: by default one it cannot ignore.
    death_signal: signal.Signals = signal.SIGKILL
    stop_grace_s: float = 5.0
    before: Callable[[], Awaitable[None]] = field(default=_nothing)
    ready: Callable[[], Awaitable[bool]] = field(default=_always_ready)


class Child:
    """A running program, leader of its own session so that the terminal's Ctrl-C reaches us alone."""

    def __init__(self, program: Program, popen: subprocess.Popen[bytes]) -> None:
        self.program = program
        self._popen = popen

    @classmethod
    def spawn(cls, program: Program, *, output: int) -> Child:
        """Start a program with both its outputs on the file descriptor `output`."""
        popen = subprocess.Popen(
            launcher_command(program),
            env=dict(program.env),
            cwd=program.cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output != subprocess.DEVNULL else output,
            start_new_session=True,
        )
        return cls(program, popen)

    @property
    def pid(self) -> int:
        """The process id; the launcher's exec keeps it."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        return self._popen.poll()

    async def wait(self) -> int:
        """Wait for the end without a thread: by a pid descriptor, or by looking where there is none."""
        descriptor = self._pid_descriptor()
        if descriptor is None:
            while (code := self.exit_code) is None:  # noqa: ASYNC110 - the kernel tells no other way
                await asyncio.sleep(_POLL_S)
            return code
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return self._popen.wait()

    def _pid_descriptor(self) -> int | None:
        if sys.platform != "linux" or self.exit_code is not None:
            return None
        try:
            return os.pidfd_open(self.pid)
        except OSError:
            return None

    def send(self, number: signal.Signals) -> None:
        """Signal the process, if it still runs."""
        if self.exit_code is None:
            self._popen.send_signal(number)

    def kill(self) -> None:
        """Kill the process and whatever it started that stayed in its session."""
        if self.exit_code is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                self._popen.kill()

    async def stop(self, *, within_s: float) -> int:
        """Ask it to end; kill it when the time is over. Returns the exit code."""
        self.send(self.program.stop_signal)
        try:
            async with asyncio.timeout(within_s):
                return await self.wait()
        except TimeoutError:
            self.kill()
            return await self.wait()


async def run_to_end(program: Program) -> tuple[int, str]:
    """Run a program that ends by itself; returns its exit code and what it said."""
    with tempfile.TemporaryFile() as said:
        child = Child.spawn(program, output=said.fileno())
        try:
            code = await child.wait()
        finally:
            child.kill()
        said.seek(0)
        return code, said.read().decode(errors="replace")


def launcher_command(program: Program) -> list[str]:
    """Return the command line that starts a program through the launcher, where there is one."""
    if sys.platform != "linux":
        return list(program.argv)
    return [
        *(sys.executable, "-I", "-S", str(_LAUNCHER)),
        *("--as-user", program.as_user),
        *("--parent", str(os.getpid())),
        *("--death-signal", str(int(program.death_signal))),
        "--",
        *program.argv,
    ]
