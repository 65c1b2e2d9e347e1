"""Our worker with the bench's kinds in its catalogue; `--bare` leaves the ledger out.

`--scheduler` is our scheduler, which knows the same kinds.

The bare worker is the same `WorkerProcess` on a ledger that says yes to everything: what remains
is the layer on RQ, with its registries, heartbeats and batches, and no PostgreSQL at all.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benches import jobs_work
from server.queue.kinds import Urgency, handles, job
from server.queue.ledger import Claim, Ending, Ledger
from server.queue.run import Run
from server.scheduler.run_scheduler import main as keep_time
from server.worker import child
from server.worker.__main__ import main
from server.worker.process import WorkerProcess

enter = job(queue="default", urgency=Urgency.REPLY, timeout_s=120, retry_after_s=())


@enter
@dataclass(frozen=True)
class Noop:
    """A job that does nothing."""

    number: int


@enter
@dataclass(frozen=True)
class Wait:
    """A job that waits 5 ms."""

    number: int


@enter
@dataclass(frozen=True)
class Hold:
    """A job that notes its start, then waits."""

    number: int
    seconds: float


LOADS: dict[str, type[Noop | Wait]] = {"noop": Noop, "wait": Wait}


@handles(Noop)
async def noop_job(_run: Run, payload: Noop) -> None:
    jobs_work.mark(payload.number)


@handles(Wait)
async def wait_job(_run: Run, payload: Wait) -> None:
    await asyncio.sleep(jobs_work.WAIT_S)
    jobs_work.mark(payload.number)


@handles(Hold)
async def hold_job(_run: Run, payload: Hold) -> None:
    jobs_work.mark(payload.number)
    await asyncio.sleep(payload.seconds)


class YesLedger(Ledger):
    """Grants every claim and believes every ending, without a database."""

    async def claim(self, job_ids: Sequence[str], *, worker: str) -> list[Claim]:
        """Grant all."""
        del worker
        return [
            Claim(one, 1, 1, one.partition("-")[0], 1, '{"number":0}', 6, "default", None, 1, 0)
            for one in job_ids
        ]

    async def end(self, claim: Claim, ending: Ending) -> bool:
        """Believe it."""
        del claim, ending
        return True

    async def renew(self, held: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        """Renew all."""
        return dict.fromkeys(held, False)


class BareProcess(WorkerProcess):
    """The worker's process without its ledger."""

    def __init__(self, **given: Any) -> None:
        ledger = YesLedger(given["database"], lease_s=given.pop("ledger").lease_s)
        super().__init__(ledger=ledger, **given)


if __name__ == "__main__":
    if "--bare" in sys.argv:
        child.WorkerProcess = BareProcess  # type: ignore[misc]
    sys.exit(keep_time() if "--scheduler" in sys.argv else main())
