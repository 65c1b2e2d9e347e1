"""The supervisor: keeps a worker's processes alive, and buries those that died.

It holds no connection and runs no job, so that it can fork at any moment and nothing that a job
does reaches it. What a dead process held is read off its board and given to its replacement,
which puts it right in the ledger: the job that had the loop is counted a death, its neighbours
are released.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import uuid4

from server.clock import monotonic_s
from server.log import get_logger
from server.worker.board import NOBODY, Board, Held, Phase
from server.worker.forking import fork

log = get_logger(__name__)

CHECK_S = 0.25
# How long a process may take from its fork to its first look at the queues.
START_S = 60.0
# Beyond the grace that a process gives its jobs: to write down how they ended.
LAST_WORDS_S = 10.0
REFUSED = 2
MOST_START_WAIT_S = 10.0


@dataclass(frozen=True)
class Estate:
    """What a dead process left: its name in RQ, the jobs it held, and the one that had the loop."""

    worker: str
    held: tuple[Held, ...]
    culprit: Held | None


@dataclass(frozen=True)
class Post:
    """What a process is born with: its name, its notes, its line to the supervisor, what to put right."""

    name: str
    board: Board
    line: socket.socket
    estates: tuple[Estate, ...]


@dataclass
class _Child:
    pid: int
    post: Post
    line: socket.socket
    started_at: float
    leaving_since: float | None = None
    replaced: bool = False
    alone: dict[int, int] = field(default_factory=dict)


class Supervisor:
    """Runs `processes` processes until `stop`; `work` and `work_alone` are what they and their forks run."""

    def __init__(
        self,
        *,
        processes: int,
        slots: int,
        silence_s: float,
        drain_grace_s: float,
        work: Callable[[Post], int],
        work_alone: Callable[[Post, int], int],
    ) -> None:
        self._processes = processes
        self._slots = slots
        self._silence_s = silence_s
        self._drain_grace_s = drain_grace_s
        self._work = work
        self._work_alone = work_alone
        self._children: list[_Child] = []
        self._estates: list[Estate] = []
        self._wake = asyncio.Event()
        self._checked_at = self._woke_at = monotonic_s()
        self._failures = 0
        self._next_start_at = 0.0
        self._stopping_since: float | None = None
        self._exit_code = 0

    @property
    def is_stopping(self) -> bool:
        """Tell whether the processes were asked to end."""
        return self._stopping_since is not None

    @property
    def boards(self) -> list[Board]:
        """Return the notes of the processes that take jobs."""
        return [child.post.board for child in self._children if child.post.board.phase is Phase.READY]

    @property
    def is_alive(self) -> bool:
        """Tell whether this loop turns and no process of ours has fallen silent."""
        return monotonic_s() - self._checked_at < START_S and not any(
            board.silent_s > self._silence_s for board in self.boards
        )

    def stop(self) -> None:
        """Ask every process to drain; asked again, they give their jobs back at once."""
        if self._stopping_since is None:
            self._stopping_since = monotonic_s()
        for child in self._children:
            _signal(child.pid, signal.SIGTERM)
        self._wake.set()

    async def run(self) -> int:
        """Keep the processes running until `stop`; return the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._wake.set)
        while not (self.is_stopping and not self._children):
            self._check()
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), CHECK_S)
        return self._exit_code

    def _check(self) -> None:
        now = monotonic_s()
        # After a pause of our own, everybody gets as long as ever to be heard: they may wake after us.
        if now - self._checked_at > self._silence_s / 2:
            self._woke_at = now
        self._checked_at = now
        for child in list(self._children):
            if not self._reap(child):
                self._end_if_overdue(child, now)
        self._fill(now)

    def _fill(self, now: float) -> None:
        if self.is_stopping or now < self._next_start_at:
            return
        for child in self._children:
            if child.post.board.phase is Phase.READY:
                self._failures = 0
            if child.post.board.phase is Phase.LEAVING and child.leaving_since is None:
                child.leaving_since = now
        staying = sum(child.leaving_since is None for child in self._children)
        for _ in range(self._processes - staying):
            self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
        post = Post(name, Board(self._slots), theirs, tuple(self._estates))
        pid = fork(lambda: self._work(post), keep=[theirs.fileno()])
        theirs.close()
        self._estates = []
        child = _Child(pid, post, ours, monotonic_s())
        self._children.append(child)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._listen, child)
        log.info("process_started", pid=pid, worker=name, estates=len(post.estates))

    def _reap(self, child: _Child) -> bool:
        for slot, pid in list(child.alone.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del child.alone[slot]
                _tell(child.line, f"ended {slot} {os.waitstatus_to_exitcode(status)}")
        ended, status = os.waitpid(child.pid, os.WNOHANG)
        if not ended:
            return False
        self._bury(child, os.waitstatus_to_exitcode(status))
        return True

    def _bury(self, child: _Child, code: int) -> None:
        asyncio.get_running_loop().remove_reader(child.line.fileno())
        child.line.close()
        self._children.remove(child)
        for pid in child.alone.values():
            _signal(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        board = child.post.board
        if code == REFUSED and board.phase is Phase.STARTING:
            # It said why; the others would be refused as well.
            self._exit_code = REFUSED
            self.stop()
            return
        held = tuple(board.all_held())
        if board.phase is Phase.STARTING:
            # Whatever it was to put right is still to be done.
            self._estates += child.post.estates
            self._failures += 1
            self._next_start_at = monotonic_s() + min(0.1 * 2**self._failures, MOST_START_WAIT_S)
        # One that was told to stop before it could listen ends of that, and nothing is the matter.
        if not held and (code == 0 or (self.is_stopping and code == -signal.SIGTERM)):
            log.info("process_ended", pid=child.pid, worker=child.post.name)
            return
        culprit = board.held(board.current) if board.current != NOBODY else None
        log.error(
            "process_died",
            pid=child.pid,
            exit_code=code,
            jobs=len(held),
            job_id=culprit.job_id if culprit else None,
        )
        self._estates.append(Estate(child.post.name, held, culprit))
        if self.is_stopping and self._exit_code == 0:
            self._exit_code = 1

    def _end_if_overdue(self, child: _Child, now: float) -> None:
        board = child.post.board
        if board.phase is Phase.STARTING:
            overdue = now - max(child.started_at, self._woke_at) > START_S
        else:
            overdue = min(board.silent_s, now - self._woke_at) > self._silence_s
        if self._stopping_since is not None:
            stopping_for_s = now - max(self._stopping_since, self._woke_at)
            overdue |= stopping_for_s > self._drain_grace_s + LAST_WORDS_S
        if overdue:
            log.error("process_stuck", pid=child.pid, silent_s=round(board.silent_s, 1))
            _signal(child.pid, signal.SIGKILL)

    def _listen(self, child: _Child) -> None:
        told = child.line.recv(64).decode()
        if not told:
            asyncio.get_running_loop().remove_reader(child.line.fileno())
            return
        verb, _, number = told.partition(" ")
        slot = int(number)
        if verb == "fork":
            child.alone[slot] = fork(lambda: self._work_alone(child.post, slot))
        elif slot in child.alone:
            _signal(child.alone[slot], signal.SIGKILL)


def _tell(line: socket.socket, what: str) -> None:
    # A process that is about to be buried hears nothing any more.
    with suppress(OSError):
        line.send(what.encode())


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
