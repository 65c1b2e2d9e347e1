"""F33: customers write all the time, and one thing after another breaks, drawn by a seed.

`PROSAAS_SOAK_SEED` replays the faults of a run in their order; `PROSAAS_SOAK_S` says how long it lasts.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from dataclasses import dataclass, field

import pytest

from tests.engine import eventually
from tests.faults.senders import tell
from tests.processes import Installation

LENGTH_S = float(os.environ.get("PROSAAS_SOAK_S", "180"))
SEED = int(os.environ.get("PROSAAS_SOAK_SEED") or random.randrange(10**6))
# What the provider may do; each says whether it took the message.
MOODS = (
    {"drop_answer": True, "times": 2},
    {"delay_ms": 1500, "times": 5},
    {"status": 429, "retry_after_s": 1, "times": 5},
    {"status": 500, "times": 2},
    {"duplicate_status": True, "times": 5},
)
UNFINISHED = "SELECT count(*) FROM job WHERE state IN ('ready', 'running') AND urgency = 0"
WITHOUT_REPLY = """
SELECT count(*) FROM message AS question
WHERE direction = 'in' AND NOT EXISTS (
    SELECT FROM message AS reply JOIN effect ON effect.key = reply.effect_key
    WHERE reply.answers_message_id = question.id AND effect.state IN ('sent', 'confirmed', 'unknown'))
"""


@dataclass
class Soak:
    """A house under stress: what was told, and what was done to it."""

    house: Installation
    draw: random.Random
    told: int = 0
    deeds: list[str] = field(default_factory=list)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self):
        """Let a new customer write about three times a second."""
        telling = set()
        while not self.stopping.is_set():
            self.told += 1
            telling.add(asyncio.create_task(tell(self.house, self.told, group=33, within_s=120)))
            await self.pass_time(self.draw.uniform(0.1, 0.6))
        await asyncio.gather(*telling)

    async def break_things(self):
        """Do one deed after another until the time is over."""
        # Its own source: what is drawn for customers depends on time.
        draw = random.Random(SEED)
        deeds = [
            self.kill,
            self.freeze,
            self.flush,
            self.stop_redis,
            self.crash_postgres,
            self.upset,
            self.drain,
        ]
        while not self.stopping.is_set():
            deed = draw.choice(deeds)
            self.deeds.append(deed.__name__)
            await deed(draw)
            await self.pass_time(draw.uniform(0.5, 4))

    async def pass_time(self, seconds):
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return

    async def kill(self, draw):
        name = draw.choice(["api", "worker", "worker", "scheduler"])
        await self.house.kill(name)
        await self.house.start(name)

    async def drain(self, _draw):
        await self.house.stop("worker")
        await self.house.start("worker")

    async def freeze(self, draw):
        """Freeze a worker past its lease; another takes over, then it wakes."""
        frozen = self.house.freeze("worker")
        await self.pass_time(draw.uniform(1, 6))
        self.house.thaw(frozen)

    async def flush(self, _draw):
        await self.house.redis("FLUSHALL")

    async def stop_redis(self, draw):
        await self.house.valkey.stop()
        await self.pass_time(draw.uniform(0.5, 5))
        await self.house.valkey.start()

    async def crash_postgres(self, _draw):
        await self.house.crash_postgres()

    async def upset(self, draw):
        await self.house.behave(**draw.choice(MOODS))


@pytest.mark.slow
@pytest.mark.fault("F33")
@pytest.mark.timeout(LENGTH_S + 400)
async def test_whatever_breaks_nothing_is_lost_and_nothing_is_sent_twice(house):
    sys.stdout.write(f"PROSAAS_SOAK_SEED={SEED} PROSAAS_SOAK_S={LENGTH_S:g}\n")
    await house.start("worker")
    soak = Soak(house, random.Random(SEED + 1))
    over = asyncio.get_running_loop().call_later(LENGTH_S, soak.stopping.set)
    try:
        await asyncio.gather(soak.write(), soak.break_things())
    finally:
        over.cancel()
        sys.stdout.write(f"{soak.told} messages; {' '.join(soak.deeds)}\n")

    async def all_ended():
        return not await house.value(UNFINISHED)

    await eventually(all_ended, within_s=200, what="every job's end")
    ended = await house.value(
        "SELECT json_agg(json_build_object('state', state, 'reason', reason)) FROM job"
        " WHERE urgency = 0 AND state <> 'done'"
    )
    assert ended is None
    assert await house.value("SELECT count(*) FROM inbox_event WHERE event_id LIKE 'G33N%'") == soak.told
    assert await house.value(WITHOUT_REPLY) == 0
