"""Accounts at providers, shared by all workers: a circuit breaker and a rate limit each.

A process takes leave to call in blocks, so that an account's row is written about once a second
and not once a call. A provider that asks to slow down is heeded by every process at once.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from server.clock import monotonic_s
from server.db.session import Database
from server.errors import (
    HOLDS_ACCOUNT,
    ProviderBusyError,
    ProviderDownError,
    ProviderError,
    ProviderRefusedError,
    ProviderUnknownError,
    RecipientBusyError,
)
from server.log import get_logger
from server.ports import ChatTurn, Completion, LanguageModel, Tool

log = get_logger(__name__)

# So many failures in a row say that the provider is down, and not that a call was unlucky.
TRIPS = 5
SHORTEST_CLOSED_S = 2.0
LONGEST_CLOSED_S = 300.0
# How long the one call that tries a closed account has, before another may try.
PROBE_S = 30.0
BLOCK_LASTS_S = 1.0
MOST_IN_BLOCK = 1000
# A shorter wait for the rate limit is waited out; a longer one gives the worker's place to another job.
WAITED_OUT_S = 1.0
# How long an account is left alone that only its owner can free.
HOLD_S = 300.0

ADMIT = "SELECT granted, wait_s, failures FROM admit_calls($1, $2, $3, $4, $5, $6, $7)"
SUCCEEDED = """
UPDATE provider_account SET failures = 0, closed_until = NULL, reason = NULL, held_at = NULL
WHERE provider = $1 AND name = $2 AND failures > 0
"""
# What fails while the account is closed was on its way before: it says nothing new.
FAILED = """
UPDATE provider_account
SET failures = failures + 1, reason = CASE WHEN held_at IS NULL THEN $3 ELSE reason END,
    closed_until = CASE WHEN failures + 1 >= $4 THEN clock_timestamp() + interval '1 second'
        * least($6, $5 * 2 ^ least(failures + 1 - $4, 20)) * (0.5 + random() / 2) END
WHERE provider = $1 AND name = $2
  AND (closed_until IS NULL OR closed_until <= clock_timestamp() OR (failures >= $4 AND $7))
RETURNING failures, coalesce(extract(epoch FROM closed_until - clock_timestamp()), 0)::float8 AS closed_s
"""
HELD = """
UPDATE provider_account
SET closed_until = greatest(closed_until, clock_timestamp() + $3::float8 * interval '1 second'),
    reason = CASE WHEN held_at IS NULL THEN $4 ELSE reason END
WHERE provider = $1 AND name = $2
"""
# As many failures as close it, so that one call at a time finds out whether its owner has acted.
HOLD = """
UPDATE provider_account
SET failures = greatest(failures, $4::int), reason = $3, held_at = coalesce(held_at, clock_timestamp()),
    closed_until = clock_timestamp() + $5::float8 * interval '1 second'
WHERE provider = $1 AND name = $2
"""


@dataclass(frozen=True)
class Account:
    """One account at one provider; `per_second` is its limit over all workers, None where it has none.

    `burst` is how many calls may be made at once after a silence.
    """

    provider: str
    name: str
    per_second: float | None = None
    burst: int = 1


@dataclass
class _Block:
    """Leave to make some calls soon, and how often in a row the account had failed when it was given."""

    calls: int = 0
    good_until: float = 0.0
    failures: int = 0

    def take(self) -> bool:
        """Use one call of it, if there is one."""
        if self.calls < 1 or monotonic_s() > self.good_until:
            return False
        self.calls -= 1
        return True


class Accounts:
    """One process's view of the accounts; every process has its own, PostgreSQL joins them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._blocks: dict[Account, _Block] = defaultdict(_Block)
        self._asking: dict[Account, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def calling(self, account: Account) -> AsyncIterator[None]:
        """Make one call to a provider in this block; raises as `admit` and `learn` do."""
        failures = await self.admit(account)
        try:
            yield
        except ProviderError as error:
            await self.learn(account, failures, error)
            raise
        await self.learn(account, failures)

    async def admit(self, account: Account) -> int:
        """Wait for leave to make one call; return how often in a row the account failed before it.

        Raises ProviderBusyError while the account is closed or its limit is used up.
        """
        waited_until = monotonic_s() + WAITED_OUT_S
        while True:
            async with self._asking[account]:
                block = self._blocks[account]
                wait_s = 0.0 if block.take() else await self._ask(account)
                if not wait_s:
                    return self._blocks[account].failures
            if monotonic_s() + wait_s > waited_until:
                # Spread, so that what waits together does not return together.
                raise ProviderBusyError(
                    f"{account.provider} is not called for {wait_s:.1f} s",
                    retry_after_s=wait_s * random.uniform(1, 1.5),  # noqa: S311 -- decides nothing secret
                    account=account.name,
                )
            await asyncio.sleep(wait_s)

    async def learn(self, account: Account, failures: int, error: BaseException | None = None) -> None:
        """Take in how an admitted call ended; `failures` is what `admit` returned.

        Raises ProviderBusyError in place of a ProviderDownError that closed the account: whoever
        waits for it uses no attempt. So it does in place of a refusal that holds the whole account.
        """
        if isinstance(error, RecipientBusyError):
            return
        if isinstance(error, ProviderRefusedError) and error.meaning in HOLDS_ACCOUNT:
            await self._hold(account, error)
        elif isinstance(error, ProviderBusyError):
            self._blocks.pop(account, None)
            await self._write(HELD, account, error.retry_after_s, type(error).__name__)
        elif isinstance(error, ProviderDownError | ProviderUnknownError):
            await self._failed(account, failures, error)
        elif failures and (error is None or isinstance(error, ProviderError)):
            # It answered, if only with a no: it is there.
            self._blocks.pop(account, None)
            await self._write(SUCCEEDED, account)

    async def _ask(self, account: Account) -> float:
        """Take a new block and use one call of it; otherwise return after how many seconds to ask again."""
        rate = account.per_second
        wanted = MOST_IN_BLOCK if rate is None else max(1, min(int(rate / 2), account.burst, MOST_IN_BLOCK))
        async with self._database.driver() as connection:
            row = await connection.fetchrow(
                ADMIT, account.provider, account.name, rate, float(account.burst), wanted, TRIPS, PROBE_S
            )
        if not row["granted"]:
            return max(float(row["wait_s"]), 0.001)
        self._blocks[account] = _Block(row["granted"] - 1, monotonic_s() + BLOCK_LASTS_S, row["failures"])
        return 0.0

    async def _failed(self, account: Account, failures: int, error: ProviderError) -> None:
        self._blocks.pop(account, None)
        async with self._database.driver() as connection:
            row = await connection.fetchrow(
                FAILED,
                *(account.provider, account.name, type(error).__name__),
                *(TRIPS, SHORTEST_CLOSED_S, LONGEST_CLOSED_S, failures >= TRIPS),
            )
        if row is None or not row["closed_s"]:
            return
        log.warning("account_closed", provider=account.provider, account=account.name, for_s=row["closed_s"])
        if isinstance(error, ProviderDownError):
            raise ProviderBusyError(
                f"{error}; it is not called for {row['closed_s']:.0f} s",
                retry_after_s=row["closed_s"],
                account=account.name,
            ) from error

    async def _hold(self, account: Account, error: ProviderRefusedError) -> None:
        self._blocks.pop(account, None)
        await self._write(HOLD, account, f"held:{error.meaning}", TRIPS, HOLD_S)
        log.warning("account_held", provider=account.provider, account=account.name, why=error.meaning.value)
        raise ProviderBusyError(
            f"{error}; what is to be sent waits for that",
            retry_after_s=HOLD_S * random.uniform(1, 1.5),  # noqa: S311 -- decides nothing secret
            account=account.name,
        ) from error

    async def _write(self, statement: str, account: Account, *more: object) -> None:
        async with self._database.driver() as connection:
            await connection.execute(statement, account.provider, account.name, *more)


class SharedModel:
    """A language model behind its account: while that is closed nobody waits for it."""

    def __init__(self, model: LanguageModel, accounts: Accounts, account: Account) -> None:
        self._model = model
        self._accounts = accounts
        self._account = account

    async def complete(self, turns: Sequence[ChatTurn], *, tools: Sequence[Tool] = ()) -> Completion:
        """Return the next assistant turn; raise ProviderError when it cannot be had in time."""
        async with self._accounts.calling(self._account):
            return await self._model.complete(turns, tools=tools)
