"""How a run ends that recorded no end of its own: its process died, lost its lease, or lost PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from server.errors import StoreUnavailableError
from server.jobs.runtime import Ended
from server.log import get_logger
from server.queue.ledger import Claim, Ending, Ledger, Outcome

log = get_logger(__name__)

AWAY_WAIT_S = 0.5


async def give_back(ledger: Ledger, claim: Claim, told_to_end: Ending | None) -> Ended:
    """Tell the ledger that a run is over whose process lives, as soon as the ledger answers.

    The job waits again and has used no attempt, unless it was told to end in another way.
    """
    ending = told_to_end or Ending(Outcome.RELEASED, "its worker is stopping, or lost its lease")
    while True:
        try:
            if await ledger.end(claim, ending):
                return Ended(claim, ending, recorded=True)
            await ledger.lives(claim.job_id, claim.token)
            # Where it was cancelled as its own end was on its way to the ledger, that one counts.
            told = await ledger.ending_of(claim.job_id, claim.token)
            return Ended(claim, told or ending, recorded=False)
        except StoreUnavailableError as error:
            log.warning("job_not_given_back", job_id=claim.job_id, error=str(error))
            await asyncio.sleep(AWAY_WAIT_S)


async def end_alone(ledger: Ledger, claim: Claim, exit_code: int) -> Ended:
    """Return how a run ended whose own process did; a death is counted where that did not end well."""
    while True:
        try:
            return await _end_alone(ledger, claim, exit_code)
        except StoreUnavailableError as error:
            log.warning("end_unknown", job_id=claim.job_id, error=str(error))
            await asyncio.sleep(AWAY_WAIT_S)


async def _end_alone(ledger: Ledger, claim: Claim, exit_code: int) -> Ended:
    ending = await ledger.ending_of(claim.job_id, claim.token)
    if ending is not None:
        return Ended(claim, ending, recorded=ending.outcome is not Outcome.LOST)
    if exit_code == 0:
        return Ended(claim, Ending(Outcome.LOST, "it could not record its end"), recorded=False)
    quarantined = any(one.quarantined for one in await ledger.bury([(claim.job_id, claim.token)]))
    log.error(
        "job_died_alone", job_id=claim.job_id, kind=claim.kind, exit_code=exit_code, quarantined=quarantined
    )
    outcome = Outcome.QUARANTINED if quarantined else Outcome.LOST
    return Ended(claim, Ending(outcome, f"its process ended with {exit_code}"), recorded=True)


async def release(ledger: Ledger, held: Sequence[tuple[str, int]], reason: str) -> None:
    """Give claims back by (job id, token), of runs that are not to blame. Raises StoreUnavailableError."""
    ended = await ledger.end_all(
        [(job_id, token, Ending(Outcome.RELEASED, reason)) for job_id, token in held]
    )
    for (job_id, token), was_held in zip(held, ended, strict=True):
        if not was_held:
            await ledger.lives(job_id, token)


async def release_strays(ledger: Ledger, worker: str, held: Collection[tuple[str, int]]) -> list[str]:
    """Give back what a process claimed and never heard of; return the job ids.

    The answer was lost on its way, or the process died before it came. `held` are the (job id,
    token) that it knows of. Raises StoreUnavailableError.
    """
    strays = [one for one in await ledger.strays_of(worker) if one not in held]
    if strays:
        log.warning("claims_unheard_of", jobs=len(strays))
        await release(ledger, strays, "its process never heard of it")
    return [job_id for job_id, _ in strays]
