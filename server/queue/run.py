"""One attempt at one job, as its handler sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from server.clock import monotonic_s
from server.db.session import Database, Session, driver_of
from server.errors import (
    HOLDS_ACCOUNT,
    LeaseLostError,
    ProviderBusyError,
    ProviderDownError,
    ProviderError,
    ProviderRefusedError,
    Snooze,
)
from server.log import get_logger
from server.ports import Accepted, Outside
from server.queue import effects, statements
from server.queue.accounts import Account, Accounts
from server.queue.counts import Write, count_fenced
from server.queue.crash_points import CrashPoint, crash_point
from server.queue.effects import EffectResult, EffectState
from server.queue.kinds import KINDS
from server.queue.ledger import Claim, Ending, Outcome, record_ends

log = get_logger(__name__)

# A send that begins with less of its lease than this could be overtaken while it is on the wire.
LEAST_LEASE_SHARE = 0.2
LARGEST_CHECKPOINT = 8192
EVERY_BUSINESS = "SELECT id FROM business ORDER BY id LIMIT 100000"


def bar_share(total: int, left: int) -> int:
    """Return how full a bar is, in thousandths: full only when nothing is left."""
    return 1000 if left == 0 else min(999, 1000 * (total - left) // total)


@dataclass
class Effect:
    """One effect while a run is at it: what is known of it so far."""

    result: EffectResult

    @property
    def goes_out(self) -> bool:
        """Tell whether this run has the right to call the provider, and has not had its answer yet."""
        return self.result.state is EffectState.SENDING

    def accept(self, accepted: Accepted) -> None:
        """Keep that the provider took it, under the name it gave."""
        self.result = EffectResult(EffectState.SENT, accepted.provider_id)

    def expect_answer(self) -> None:
        """Refuse to end without knowing what the provider said: such an effect is a bug, and unknown."""
        if self.goes_out:
            raise AssertionError("an effect's block ended without the provider's answer")


class Run:
    """A claim with what its handler needs: fenced transactions, effects and the outside world.

    `trusted_until` is this process's own reading of its lease: set from before the renewal was
    asked, so that it is never later than the database's. `is_ending` is set as its end goes to the
    ledger: from then on it has no lease to lose. `completed` is set once it is there. `may_send` ends
    as its worker stops, in time for what `is_sending` to end.
    """

    def __init__(
        self,
        claim: Claim,
        *,
        database: Database,
        outside: Outside,
        lease_s: float,
        accounts: Accounts | None = None,
    ) -> None:
        self.claim = claim
        self.database = database
        self.outside = outside
        self.trusted_until = monotonic_s() + lease_s
        self._accounts = accounts or Accounts(database)
        self._least_lease_s = lease_s * LEAST_LEASE_SHARE
        self._checkpoint = None if claim.checkpoint is None else orjson.loads(claim.checkpoint)
        self.is_ending = self.completed = False
        self.may_send, self.is_sending = True, False

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

    @property
    def checkpoint(self) -> dict[str, Any] | None:
        """Return what `keep_checkpoint` kept last, in this run or one before it; None at the beginning."""
        return self._checkpoint

    async def keep_checkpoint(self, session: Session, at: Mapping[str, Any]) -> None:
        """Keep where the next run goes on, together with the writes of the same `step`.

        Small facts and ids alone. Raises LeaseLostError once another run may have taken over.
        """
        encoded = orjson.dumps(dict(at)).decode()
        if len(encoded) > LARGEST_CHECKPOINT:
            raise ValueError(f"a checkpoint of {self.claim.kind} is larger than {LARGEST_CHECKPOINT} bytes")
        await self._written(session, statements.CHECKPOINT, encoded)
        self._checkpoint = dict(at)

    async def progress(
        self, session: Session, *, total: int, done: int, left: int = 0, **otherwise: int
    ) -> None:
        """Tell how far the job is, in parts as counted from their rows: they add up to `total`.

        `left` are those that are still to be done, `otherwise` those that ended in another way. Raises
        ValueError where they do not add up, and LeaseLostError where `done` fell or the lease is gone.
        """
        counts = {"done": done, "left": left} | otherwise
        if sum(counts.values()) != total or min(counts.values()) < 0:
            raise ValueError(f"{self.claim.kind}: {counts} do not add up to {total}")
        encoded = orjson.dumps({"total": total} | counts).decode()
        await self._written(session, statements.PROGRESS, encoded, done, bar_share(total, left))

    async def _written(self, session: Session, statement: str, *values: object) -> None:
        if await (await driver_of(session)).fetchval(statement, self.job_id, self.token, *values) is None:
            count_fenced(Write.PROGRESS)
            raise LeaseLostError(f"{self.job_id}: token {self.token} may not write this")

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
        fence = statements.fence(self.job_id, self.token)
        try:
            async with self._transaction(business_ids, last=fence) as session:
                yield session
        except asyncpg.PostgresError as error:
            if error.sqlstate != statements.LEASE_GONE:
                raise
            count_fenced(Write.STEP)
            raise LeaseLostError(f"{self.job_id} is no longer held by token {self.token}") from error

    @asynccontextmanager
    async def completing(self, *business_ids: int) -> AsyncIterator[Session]:
        """Open the last transaction: its writes and the job's completion commit together."""
        async with self._transaction(business_ids) as session:
            yield session
            crash_point(CrashPoint.BEFORE_FINISH)
            self.is_ending = True
            done = (self.job_id, self.token, Ending(Outcome.DONE))
            if not await record_ends(await driver_of(session), [done]):
                count_fenced(Write.COMPLETION)
                raise LeaseLostError(f"{self.job_id} is no longer held by token {self.token}")
        self.completed = True

    @asynccontextmanager
    async def _transaction(self, business_ids: tuple[int, ...], *, last: str = "") -> AsyncIterator[Session]:
        own = () if self.business_id is None else (self.business_id,)
        async with self.database.transaction(*(business_ids or own), last=last) as session:
            yield session

    @asynccontextmanager
    async def effect(self, key: str, *, account: Account) -> AsyncIterator[Effect]:
        """Do a planned effect, at most once over all runs; one already done is only reported.

            async with run.effect("reply:7", account=account) as effect:
                if effect.goes_out:
                    effect.accept(await channel.send(...))

        A provider's refusal, and an answer that never came, are results and end here. Raises
        ProviderDownError (or Busy) when the provider proved that it took nothing: the effect is
        planned again. Busy, too, while the account is closed or its limit is used up, and Snooze
        once the worker is stopping.
        """
        if not self.may_send:
            raise Snooze("its worker is stopping: another one sends it", for_s=0)
        if self.lease_left_s < self._least_lease_s:
            raise LeaseLostError(f"{self.job_id}: {self.lease_left_s:.1f} s of lease is too little to send")
        try:
            failures = await self._accounts.admit(account)
        except ProviderBusyError:
            async with self.database.driver() as connection:
                found = await effects.inherit(connection, key)
            if found.state in {EffectState.PLANNED, EffectState.NOT_SENT}:
                raise
            yield Effect(found)
            return
        effect = Effect(await self._begin(key))
        if not effect.goes_out:
            yield effect
            return
        self.is_sending = True
        try:
            yield effect
            effect.expect_answer()
        except ProviderError as error:
            effect.result = await self._not_accepted(key, error)
            await self._accounts.learn(account, failures, error)
            if effect.result.state is EffectState.PLANNED:
                raise
        except BaseException as error:
            # Cancelled or broken in the middle of the call: nobody knows whether it went out.
            ended = self._ended(key, EffectState.UNKNOWN, f"ended by {type(error).__name__}")
            effect.result = await asyncio.shield(ended)
            raise
        else:
            await self._accepted(key, effect.result.provider_ref or "")
            await self._accounts.learn(account, failures)
        finally:
            self.is_sending = False

    async def _begin(self, key: str) -> EffectResult:
        crash_point(CrashPoint.BEFORE_SENDING)
        async with self.database.driver() as connection:
            found = await effects.begin(connection, key, self.job_id, self.token)
        if found.state is EffectState.PLANNED:
            count_fenced(Write.SENDING)
            raise LeaseLostError(f"{self.job_id} may not send {key}: its lease is gone")
        if found.state is EffectState.SENDING:
            crash_point(CrashPoint.AFTER_SENDING)
        return found

    async def _accepted(self, key: str, provider_ref: str) -> None:
        crash_point(CrashPoint.AFTER_ACCEPTED)
        async with self.database.driver() as connection:
            await effects.record_accepted(connection, key, provider_ref)
        crash_point(CrashPoint.AFTER_SENT)

    async def _not_accepted(self, key: str, error: ProviderError) -> EffectResult:
        match error:
            case ProviderRefusedError(meaning=meaning) if meaning in HOLDS_ACCOUNT:
                # It says nothing of this message: it waits for the account's owner.
                return await self._ended(key, EffectState.PLANNED, str(error))
            case ProviderRefusedError():
                return await self._ended(key, EffectState.FAILED, str(error))
            case ProviderDownError():
                return await self._ended(key, EffectState.PLANNED, str(error))
            case _:
                return await self._ended(key, EffectState.UNKNOWN, str(error))

    async def _ended(self, key: str, state: EffectState, reason: str) -> EffectResult:
        log.warning("effect_not_sent", job_id=self.job_id, state=state.value, provider_said=reason)
        async with self.database.driver() as connection:
            await effects.record_end(connection, key, self.token, state, reason)
        return EffectResult(state, reason=reason)
