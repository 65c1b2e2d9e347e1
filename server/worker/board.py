"""What a worker's process tells its supervisor without a word: shared memory that outlives a crash.

A process that segfaults or is killed can report nothing any more. So it notes as it goes which
jobs it holds, which of them has the loop at this instant, and that its loop still turns.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from server.clock import monotonic_s

# Which slot has the loop, the phase, which stores answer, a filler; then when the loop last turned.
_HEAD = struct.Struct("=iiii")
_TICK = struct.Struct("=d")
_TICK_AT = _HEAD.size
# Until when its lease is trusted, its token, its id's length and its id.
_SLOT = struct.Struct("=dqH120s")
_SLOTS_AT = 64
NOBODY = -1


class Phase(IntEnum):
    """How far a process came."""

    STARTING = 0
    READY = 1
    LEAVING = 2


@dataclass(frozen=True)
class Held:
    """A job that a process held, by its claim's token."""

    slot: int
    job_id: str
    token: int


class Board:
    """One process's notes; made before the fork, so that supervisor and children see the same memory."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._memory = mmap.mmap(-1, _SLOTS_AT + slots * _SLOT.size)
        self._words = memoryview(self._memory)[: _HEAD.size].cast("i")
        self._words[0] = NOBODY
        self._free = list(range(slots - 1, -1, -1))
        self.tick()

    def enter(self, slot: int) -> None:
        """Note that the job in this slot has the loop; NOBODY when none has."""
        self._words[0] = slot

    @property
    def current(self) -> int:
        """Return the slot that has, or had at the end, the loop."""
        return self._words[0]

    @property
    def phase(self) -> Phase:
        """Return how far the process came."""
        return Phase(self._words[1])

    @phase.setter
    def phase(self, phase: Phase) -> None:
        self._words[1] = phase

    def tick(self) -> None:
        """Note that the loop turns."""
        _TICK.pack_into(self._memory, _TICK_AT, monotonic_s())

    @property
    def silent_s(self) -> float:
        """Return for how long the loop has not turned."""
        ticked: float = _TICK.unpack_from(self._memory, _TICK_AT)[0]
        return monotonic_s() - ticked

    def answers(self, *, postgres: bool, redis: bool) -> None:
        """Note which stores answered this process."""
        self._words[2] = postgres + 2 * redis

    @property
    def postgres_answers(self) -> bool:
        """Tell whether PostgreSQL answered the process when it last asked."""
        return bool(self._words[2] & 1)

    @property
    def redis_answers(self) -> bool:
        """Tell whether Redis answered the process when it last asked."""
        return bool(self._words[2] & 2)

    def take(self, job_id: str, token: int, trusted_until: float) -> int:
        """Note a job that the process holds from now on; return its slot."""
        slot = self._free.pop()
        told = job_id.encode()
        _SLOT.pack_into(self._memory, self._at(slot), trusted_until, token, len(told), told)
        return slot

    def trust(self, slot: int, until: float) -> None:
        """Note until when a job's lease can be trusted."""
        _TICK.pack_into(self._memory, self._at(slot), until)

    def trusted_until(self, slot: int) -> float:
        """Return until when a job's lease can be trusted, on the machine's monotonic clock."""
        until: float = _TICK.unpack_from(self._memory, self._at(slot))[0]
        return until

    def release(self, slot: int) -> None:
        """Note that the process holds this job no more."""
        _SLOT.pack_into(self._memory, self._at(slot), 0.0, 0, 0, b"")
        self._free.append(slot)

    def held(self, slot: int) -> Held | None:
        """Return the job in a slot, if there is one."""
        _, token, length, told = _SLOT.unpack_from(self._memory, self._at(slot))
        return Held(slot, told[:length].decode(), token) if length else None

    def all_held(self) -> Iterator[Held]:
        """Return every job that the process held when it last wrote."""
        for slot in range(self.slots):
            held = self.held(slot)
            if held is not None:
                yield held

    def _at(self, slot: int) -> int:
        return _SLOTS_AT + slot * _SLOT.size
