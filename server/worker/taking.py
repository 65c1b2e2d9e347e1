"""Taking work: what RQ's queues hold becomes claims, in batches."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextvars import Context
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.errors import StoreUnavailableError
from server.log import get_logger
from server.queue.asking import Dispatch
from server.queue.ledger import Claim, Ledger
from server.queue.window import Window
from server.worker.rq_view import RqView

log = get_logger(__name__)

POP_WAIT_S = 1.0
RESERVED_WAIT_S = 0.05
# Everything a worker asks before it takes work, in one round trip: nothing while `rq suspend` is in force,
# otherwise up to ARGV[1] ids with their queues, most urgent queue first, and of the others ARGV[2] at most.
# Where less than ARGV[3] is left in a queue of which more waits outside Redis, the list begins with a mark.
TAKE = """
if redis.call('EXISTS', 'rq:suspended') == 1 then return false end
local found, most, is_low = {}, tonumber(ARGV[1]), false
local waits = redis.call('GET', 'prosaas:backlog')
for place = 4, #ARGV do
    if place == 5 then most = math.min(most, tonumber(ARGV[2])) end
    if most > 0 then
        for _, id in ipairs(redis.call('LPOP', ARGV[place], most) or {}) do
            found[#found + 1] = ARGV[place]
            found[#found + 1] = id
            most = most - 1
        end
    end
    local is_behind = waits and (waits == '1' or string.find(waits, ' ' .. ARGV[place] .. ' ', 1, true))
    is_low = is_low or is_behind and redis.call('LLEN', ARGV[place]) < tonumber(ARGV[3])
end
if is_low then
    table.insert(found, 1, 'more')
end
return found
"""
# So much of a worker is kept free for the most urgent queue: long work of others never fills it.
RESERVED_SHARE = 0.25
# Every so many takes the least urgent queue comes first, so that a flood above it does not end it.
FLOOR_EVERY = 16
# As `job_id` makes them, with the dispatch's number behind.
OUR_ID = re.compile(
    r"(?P<job_id>(?P<kind>[a-z0-9_]+_job)-(?P<business>[0-9]{1,18}|all)-[0-9a-z]{1,64})-(?P<number>[0-9]{1,9})"
)


class Intake:
    """Pops dispatches, most urgent queue first, and claims them for one worker."""

    def __init__(
        self,
        queues: Sequence[str],
        *,
        worker: str,
        slots: int,
        redis: Redis,
        ledger: Ledger,
        view: RqView,
        window: Window,
    ) -> None:
        self._queues = [f"rq:queue:{queue}" for queue in queues]
        self._slots = slots
        self._takes = 0
        self._window = window
        self._filling: asyncio.Task[int] | None = None
        self._worker = worker
        self._redis = redis
        self._ledger = ledger
        self._view = view

    async def pop(self, free: int) -> list[Dispatch]:
        """Take up to `free` dispatches; waits a moment where there are none. Raises RedisError."""
        self._takes += 1
        lines, others = self._queues, free - int(self._slots * RESERVED_SHARE)
        if self._takes % FLOOR_EVERY == 0:
            lines, others = lines[::-1], free
        taken: Any = await self._redis.eval(TAKE, 0, free, others, self._slots, *lines)
        await self._view.suspended(is_suspended=taken is None)
        if taken is None:
            await asyncio.sleep(POP_WAIT_S)
            return []
        if taken[:1] == [b"more"]:
            taken = taken[1:]
            self._fill()
        if not taken and others > 0:
            taken = await self._redis.blpop(self._queues, timeout=POP_WAIT_S) or []
        elif not taken:
            # Only what is most urgent may be taken now; a place for the rest may come free any moment.
            taken = await self._redis.blpop(self._queues[:1], timeout=RESERVED_WAIT_S) or []
        return await self._ours(list(zip(taken[1::2], taken[::2], strict=True)))

    def read(self, rq_id: str, queue: str) -> Dispatch | None:
        """Return the dispatch that an id stands for; None if it is not one of ours."""
        return parse_dispatch(rq_id, queue)

    async def _ours(self, taken: Sequence[tuple[bytes, bytes]]) -> list[Dispatch]:
        """Read what was popped, as (id, queue); what somebody else put there is refused, and not lost."""
        ours: list[Dispatch] = []
        foreign: list[tuple[str, str]] = []
        for raw_id, raw_queue in taken:
            rq_id, queue = raw_id.decode(errors="replace"), raw_queue.decode().removeprefix("rq:queue:")
            dispatch = self.read(rq_id, queue)
            if dispatch is None:
                foreign.append((rq_id, queue))
            else:
                ours.append(dispatch)
        if foreign:
            try:
                await self._view.refuse(foreign)
            except (RedisError, OSError, TimeoutError) as error:
                # What else was taken is still to be claimed.
                log.error("jobs_not_refused", jobs=len(foreign), error=type(error).__name__)
        return ours

    def _fill(self) -> None:
        """Have the queues filled from the ledger, while the work that was taken runs."""
        if self._filling is None or self._filling.done():
            self._filling = asyncio.create_task(self._fill_queues(), context=Context())

    async def _fill_queues(self) -> int:
        try:
            return await self._window.fill(2 * self._slots)
        except (RedisError, OSError, TimeoutError, StoreUnavailableError) as error:
            log.warning("window_left_to_sweeper", error=type(error).__name__)
            return 0

    async def claim(self, popped: Sequence[Dispatch]) -> list[Claim]:
        """Claim what was popped; what cannot be claimed now is left to the ledger."""
        claims = await self._ledger.claim([one.job_id for one in popped], worker=self._worker)
        missed = _without(popped, claims)
        if not missed:
            return claims
        requeued = await self._view.failed_tokens(missed)
        if requeued:
            await self._ledger.reopen(list(requeued), list(requeued.values()), actor="rq requeue")
        # Marked first, tried again after: a lane that came free in between is seen by one of the two.
        waiting = await self._ledger.unclaimed([one.job_id for one in missed])
        if waiting:
            claims += await self._ledger.claim(waiting, worker=self._worker)
        await self._view.forget(_without(missed, claims))
        return claims

    async def return_to_queues(self, popped: Sequence[Dispatch]) -> None:
        """Put what was taken and cannot be claimed back at the head of its queue. Raises RedisError."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for one in reversed(popped):
                pipe.lpush(f"rq:queue:{one.queue}", one.rq_id)
            await pipe.execute()

    async def put_back(self, popped: Sequence[Dispatch]) -> None:
        """Leave what this worker has no place for to be dispatched again."""
        if popped:
            await self._ledger.unclaimed([one.job_id for one in popped])
            await self._view.forget(popped)


def parse_dispatch(rq_id: str, queue: str) -> Dispatch | None:
    """Read a dispatch back from RQ's id: `<kind>-<business>-<digest>-<number>`; None if it is not ours."""
    found = OUR_ID.fullmatch(rq_id)
    if found is None:
        return None
    business = found["business"]
    business_id = None if business == "all" else int(business)
    return Dispatch(found["job_id"], found["kind"], queue, business_id, int(found["number"]))


def _without(dispatches: Sequence[Dispatch], claims: Sequence[Claim]) -> list[Dispatch]:
    claimed = {claim.job_id for claim in claims}
    return [one for one in dispatches if one.job_id not in claimed]
