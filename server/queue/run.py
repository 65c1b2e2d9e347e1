"""One attempt at one job, as its handler sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from server.clock import monotonic_s
from server.db.session import Database, Session, driver_of
from server.errors import (
    LeaseLostError,
    ProviderDownError,
    ProviderRefusedError,
    ProviderUnknownError,
)
from server.log import get_logger
from server.ports import Accepted, Outside
from server.queue import effects, statements
from server.queue.crash_points import CrashPoint, crash_point
from server.queue.effects import EffectResult, EffectState
from server.queue.kinds import KINDS
from server.queue.ledger import Claim, Ending, Outcome, record_ends

log = get_logger(__name__)

# A send that begins with less of its lease than this could be overtaken while it is on the wire.
LEAST_LEASE_SHARE = 0.2
EVERY_BUSINESS = "SELECT id FROM business ORDER BY id LIMIT 100000"


class Run:
    """A claim with what its handler needs: fenced transactions, effects and the outside world.

    `trusted_until` is this process's own reading of its lease: set from before the renewal was
    asked, so that it is never later than the database's. `completed` is set once its end is in the
    ledger: from then on it has no lease to lose.
    """

    def __init__(self, claim: Claim, *, database: Database, outside: Outside, lease_s: float) -> None:
        self.claim = claim
        self.database = database
        self.outside = outside
        self.trusted_until = monotonic_s() + lease_s
        self._least_lease_s = lease_s * LEAST_LEASE_SHARE
        self.completed = False

    @property
    def job_id(self) -> str:
        """Return the ledger's id of the job."""
        return self.claim.job_id

    @property
    def token(self) -> int:
        """Return the token that this run's writes carry."""
        return self.claim.token

    @property
    def business_id(self) -> int | None:
        """Return the business the job belongs to; None for the installation's own work."""
        return self.claim.business_id

    @property
    def attempt(self) -> int:
        """Return which attempt this is, from 1."""
        return self.claim.attempts

    @property
    def is_last_attempt(self) -> bool:
        """Tell whether a failure of this attempt is final, so that people must be told."""
        return self.attempt > len(KINDS[self.claim.kind].retry_after_s)

    @property
    def lease_left_s(self) -> float:
        """Return for how many seconds nobody else can take the job."""
        return self.trusted_until - monotonic_s()

    async def every_business(self) -> list[int]:
        """Return the ids of all businesses, for the installation's own work."""
        async with self.database.driver() as connection:
            rows = await connection.fetch(EVERY_BUSINESS)
        return [row["id"] for row in rows]

    @asynccontextmanager
    async def step(self, *business_ids: int) -> AsyncIterator[Session]:
        """Open a transaction that commits only while this run holds its lease.

        It sees the job's own business unless others are named. Raises LeaseLostError, and
        writes nothing, once another run may have taken over.
        """
        async with self._transaction(business_ids) as session:
            yield session
            if await (await driver_of(session)).fetchval(statements.FENCE, self.job_id, self.token) is None:
                raise LeaseLostError(f"{self.job_id} is no longer held by token {self.token}")

    @asynccontextmanager
    async def completing(self, *business_ids: int) -> AsyncIterator[Session]:
        """Open the last transaction: its writes and the job's completion commit together."""
        async with self._transaction(business_ids) as session:
            yield session
            crash_point(CrashPoint.BEFORE_FINISH)
            done = (self.job_id, self.token, Ending(Outcome.DONE))
            if not await record_ends(await driver_of(session), [done]):
                raise LeaseLostError(f"{self.job_id} is no longer held by token {self.token}")
        self.completed = True

    @asynccontextmanager
    async def _transaction(self, business_ids: tuple[int, ...]) -> AsyncIterator[Session]:
        own = () if self.business_id is None else (self.business_id,)
        async with self.database.transaction(*(business_ids or own)) as session:
            yield session

    async def send(self, key: str, call: Callable[[], Awaitable[Accepted]]) -> EffectResult:
        """Do a planned effect, at most once over all runs; an effect already done is only reported.

        Raises ProviderDownError (or Busy) when the provider proved that it took nothing: the
        effect is planned again. An answer that never came makes it unknown, which is a result.
        """
        if self.lease_left_s < self._least_lease_s:
            raise LeaseLostError(f"{self.job_id}: {self.lease_left_s:.1f} s of lease is too little to send")
        crash_point(CrashPoint.BEFORE_SENDING)
        async with self.database.driver() as connection:
            found = await effects.begin(connection, key, self.job_id, self.token)
        if found.state is EffectState.PLANNED:
            raise LeaseLostError(f"{self.job_id} may not send {key}: its lease is gone")
        if found.state is not EffectState.SENDING:
            return found
        crash_point(CrashPoint.AFTER_SENDING)
        return await self._call(key, call)

    async def _call(self, key: str, call: Callable[[], Awaitable[Accepted]]) -> EffectResult:
        try:
            accepted = await call()
        except ProviderRefusedError as error:
            return await self._ended(key, EffectState.FAILED, str(error))
        except ProviderDownError as error:
            await self._ended(key, EffectState.PLANNED, str(error))
            raise
        except ProviderUnknownError as error:
            return await self._ended(key, EffectState.UNKNOWN, str(error))
        except BaseException as error:
            # Cancelled or broken in the middle of the call: nobody knows whether it went out.
            await asyncio.shield(self._ended(key, EffectState.UNKNOWN, f"ended by {type(error).__name__}"))
            raise
        crash_point(CrashPoint.AFTER_ACCEPTED)
        async with self.database.driver() as connection:
            await effects.record_accepted(connection, key, accepted.provider_id)
        crash_point(CrashPoint.AFTER_SENT)
        return EffectResult(EffectState.SENT, accepted.provider_id)

    async def _ended(self, key: str, state: EffectState, reason: str) -> EffectResult:
        log.warning("effect_not_sent", job_id=self.job_id, state=state.value, provider_said=reason)
        async with self.database.driver() as connection:
            await effects.record_end(connection, key, self.token, state, reason)
        return EffectResult(state, reason=reason)
