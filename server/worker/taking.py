"""Taking work: what RQ's queues hold becomes claims, in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from server.log import get_logger
from server.queue.asking import Dispatch
from server.queue.ledger import Claim, Ledger
from server.worker.rq_view import RqView

log = get_logger(__name__)

POP_WAIT_S = 1.0
# Everything a worker asks before it takes work, in one round trip: nothing while `rq suspend` is in force,
# otherwise up to ARGV[1] ids with their queues, most urgent queue first.
TAKE = """
if redis.call('EXISTS', 'rq:suspended') == 1 then return false end
local found, most = {}, tonumber(ARGV[1])
for place = 2, #ARGV do
    if most == 0 then break end
    for _, id in ipairs(redis.call('LPOP', ARGV[place], most) or {}) do
        found[#found + 1] = ARGV[place]
        found[#found + 1] = id
        most = most - 1
    end
end
return found
"""


class Intake:
    """Pops dispatches, most urgent queue first, and claims them for one worker."""

    def __init__(
        self, queues: Sequence[str], *, worker: str, redis: Redis, ledger: Ledger, view: RqView
    ) -> None:
        self._queues = [f"rq:queue:{queue}" for queue in queues]
        self._worker = worker
        self._redis = redis
        self._ledger = ledger
        self._view = view

    async def pop(self, most: int) -> list[Dispatch]:
        """Take up to `most` dispatches; waits a moment where there are none. Raises RedisError."""
        taken: Any = await self._redis.eval(TAKE, 0, most, *self._queues)
        if taken is None:
            await asyncio.sleep(POP_WAIT_S)
            return []
        if not taken:
            first = await self._redis.blpop(self._queues, timeout=POP_WAIT_S)
            taken = first or []
        popped = [parse_dispatch(rq_id, queue) for queue, rq_id in zip(taken[::2], taken[1::2], strict=True)]
        return [one for one in popped if one is not None]

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

    async def put_back(self, popped: Sequence[Dispatch]) -> None:
        """Leave what this worker has no place for to be dispatched again."""
        if popped:
            await self._ledger.unclaimed([one.job_id for one in popped])
            await self._view.forget(popped)


def parse_dispatch(rq_id: bytes | str, queue: bytes | str) -> Dispatch | None:
    """Read a dispatch back from RQ's id: `<kind>-<business>-<digest>-<number>`; None if it is not ours."""
    text = rq_id.decode() if isinstance(rq_id, bytes) else rq_id
    name = queue.decode() if isinstance(queue, bytes) else queue
    job_id, _, number = text.rpartition("-")
    parts = job_id.split("-")
    if len(parts) != 3 or not number.isdigit():  # noqa: PLR2004 -- the three parts named above
        log.error("dispatch_unreadable", queue=name)
        return None
    business_id = int(parts[1]) if parts[1].isdigit() else None
    return Dispatch(job_id, parts[0], name.removeprefix("rq:queue:"), business_id, int(number))


def _without(dispatches: Sequence[Dispatch], claims: Sequence[Claim]) -> list[Dispatch]:
    claimed = {claim.job_id for claim in claims}
    return [one for one in dispatches if one.job_id not in claimed]
