"""Jobs that run alone, each in a forked process that can be killed without harm to any other.

The process that claimed the job keeps its lease and watches; the forked one has the claim's token,
runs the handler and writes the end into the ledger. So whoever of the two dies, the ledger knows.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from server.clock import monotonic_s
from server.config import Settings
from server.jobs.runtime import perform
from server.queue.ledger import Ledger
from server.queue.run import Run
from server.wiring import open_house
from server.worker.board import Board

LONGEST_WORD = 64


class Isolation:
    """The claiming process's side: asks the supervisor for forks, at most `most` at a time."""

    def __init__(self, line: socket.socket, *, most: int) -> None:
        self._line = line
        self._line.setblocking(False)
        self._places = asyncio.Semaphore(most)
        self._ended: dict[int, asyncio.Future[int]] = {}
        asyncio.get_running_loop().add_reader(line.fileno(), self._listen)

    @property
    def is_full(self) -> bool:
        """Tell whether another job would have to wait."""
        return self._places.locked()

    async def run(self, slot: int) -> int:
        """Run the job in this slot alone; return its process's exit code. Cancelled: killed."""
        async with self._places:
            ended = self._ended[slot] = asyncio.get_running_loop().create_future()
            self._line.send(f"fork {slot}".encode())
            try:
                return await asyncio.shield(ended)
            except asyncio.CancelledError:
                self._line.send(f"kill {slot}".encode())
                await asyncio.shield(ended)
                raise
            finally:
                self._ended.pop(slot, None)

    def _listen(self) -> None:
        told = self._line.recv(LONGEST_WORD).decode()
        if not told:
            # The supervisor is gone, and this process with it in a moment.
            asyncio.get_running_loop().remove_reader(self._line.fileno())
            return
        _, slot, code = told.split()
        ended = self._ended.get(int(slot))
        if ended is not None and not ended.done():
            ended.set_result(int(code))


class RunAlone(Run):
    """A run whose lease is renewed by another process, which notes on the board how far to trust it."""

    def trust(self, board: Board, slot: int) -> None:
        """Read the lease's end from the board from now on."""
        self._read: Callable[[], float] = lambda: board.trusted_until(slot)

    @property
    def lease_left_s(self) -> float:
        """Return for how many seconds nobody else can take the job."""
        return self._read() - monotonic_s()


async def run_alone(settings: Settings, board: Board, slot: int) -> None:
    """Run the job in this slot of the board to its end, in a process that has nothing else to do."""
    held = board.held(slot)
    if held is None:
        return
    async with open_house(settings, pool_size=4) as house:
        ledger = Ledger(house.database, lease_s=settings.job_lease_s)
        claim = await ledger.claim_of(held.job_id, held.token)
        if claim is None:
            return
        run = RunAlone(claim, database=house.database, outside=house.outside, lease_s=settings.job_lease_s)
        run.trust(board, slot)
        await perform(run, ledger)
