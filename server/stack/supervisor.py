"""Starts programs in stages, keeps them running, and stops them in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from server.stack.child import Program
from server.stack.keeper import Keeper
from server.stack.merged_log import MergedLog

STOP_WITHIN_S = 9.0
_READY_WITHIN_S = 60.0
# Kept back for the stages below, so that a slow one cannot use up their time.
_A_STAGE_S = 1.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """The parent of every process of a stack.

    The first stop signal ends the stages in reverse order within STOP_WITHIN_S, a second one kills.
    """

    def __init__(self, log: MergedLog) -> None:
        self.log = log
        self._stages: list[list[Keeper]] = []
        self._stop_asked = asyncio.Event()

    @property
    def pids(self) -> dict[str, list[int]]:
        """Which processes play which role now."""
        return {keeper.program.name: keeper.pids for stage in self._stages for keeper in stage}

    async def start_stage(self, *programs: Program, within_s: float = _READY_WITHIN_S) -> None:
        """Start programs together and wait until all of them answer."""
        stage = [Keeper(program, self.log) for program in programs]
        self._stages.append(stage)
        async with asyncio.TaskGroup() as starting:
            for keeper in stage:
                starting.create_task(keeper.start(within_s=within_s))

    async def run(self, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run the start, then keep everything up until a stop signal; raises what the start raised."""
        self._listen()
        starting = asyncio.create_task(start())
        stopping = asyncio.create_task(self._stop_asked.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                _raise_first(starting)
                await stopping
            else:
                starting.cancel()
        finally:
            stopping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(starting, return_exceptions=True)
            await self._stop_all()

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if not self._stop_asked.is_set():
            self.log.write("stack", f"stopping ({number.name}); once more to kill")
            self._stop_asked.set()
            return
        for stage in reversed(self._stages):
            for keeper in stage:
                keeper.kill()

    async def _stop_all(self) -> None:
        loop = asyncio.get_running_loop()
        self._stop_asked.set()
        deadline = loop.time() + STOP_WITHIN_S
        for below, stage in reversed(list(enumerate(self._stages))):
            left_s = max(deadline - loop.time() - below * _A_STAGE_S, _A_STAGE_S)
            await asyncio.gather(
                *(
                    keeper.stop(within_s=min(left_s, keeper.program.stop_grace_s))
                    for keeper in reversed(stage)
                )
            )


def _raise_first(task: asyncio.Task[None]) -> None:
    error = task.exception()
    # A stage starts its programs together: the first that refused says why.
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is not None:
        raise error
