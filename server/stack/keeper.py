"""Keeps one program running: starts it, starts it again when it dies, ends it."""

from __future__ import annotations

import asyncio
import os
import signal

from server.errors import StartRefusedError
from server.stack.child import Child, Program
from server.stack.merged_log import MergedLog
from server.stack.waiting import until_ready

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0
# A child that lived this long was well: its next death starts a new series of pauses.
_WELL_AFTER_S = 30.0


class Keeper:
    """One program and whoever plays it now."""

    def __init__(self, program: Program, log: MergedLog) -> None:
        self.program = program
        self._log = log
        self._child: Child | None = None
        self._killed = False
        self._watch: asyncio.Task[None] | None = None

    @property
    def pids(self) -> list[int]:
        """The process id that runs now, or none in a pause between two starts."""
        return [self._child.pid] if self._child and self._child.exit_code is None else []

    async def start(self, *, within_s: float) -> None:
        """Start it and wait until it answers; raise StartRefusedError when it does not."""
        child = await self._spawn()
        await until_ready(child, within_s=within_s)
        self._watch = asyncio.create_task(self._keep(child))

    async def stop(self, *, within_s: float) -> None:
        """End it for good: asked first, killed when the time is over."""
        if self._watch:
            self._watch.cancel()
        if self._child is None or self._child.exit_code is not None:
            return
        code = await self._child.stop(within_s=within_s)
        if code == -signal.SIGKILL and not self._killed:
            self._say(f"did not end within {within_s:.1f} s and was killed")

    def kill(self) -> None:
        """End it at once."""
        self._killed = True
        if self._child and self.program.death_signal is signal.SIGKILL:
            self._child.kill()
        elif self._child:
            self._child.send(self.program.death_signal)

    async def _spawn(self) -> Child:
        await self.program.before()
        output = await self._log.pipe(self.program.name)
        try:
            self._child = Child.spawn(self.program, output=output)
        finally:
            os.close(output)
        return self._child

    async def _keep(self, child: Child) -> None:
        loop, pause_s = asyncio.get_running_loop(), _FIRST_PAUSE_S
        while True:
            started_at = loop.time()
            code = await child.wait()
            if loop.time() - started_at >= _WELL_AFTER_S:
                pause_s = _FIRST_PAUSE_S
            child = await self._again(code, pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _again(self, code: int, pause_s: float) -> Child:
        while True:
            self._say(f"ended ({_how(code)}); starting it again in {pause_s:.1f} s")
            await asyncio.sleep(pause_s)
            try:
                return await self._spawn()
            except (OSError, StartRefusedError) as refused:
                self._say(f"could not be started: {refused}")
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _say(self, text: str) -> None:
        self._log.write("stack", f"{self.program.name} {text}")


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
