"""The effect ledger: one row for each thing done to the outside world that cannot be undone.

An effect is keyed by what it means. Whoever finds it `sending` under an older token never
sends: it becomes `unknown` until evidence arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import asyncpg

from server.db.session import Session, driver_of
from server.queue.statements import STILL_RUNS


class EffectState(StrEnum):
    """How far an effect came."""

    PLANNED = "planned"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CONFIRMED = "confirmed"
    NOT_SENT = "not_sent"
    ABANDONED = "abandoned"


@dataclass(frozen=True)
class EffectResult:
    """What is known of an effect: the provider's reference once it took it, the reason where it did not."""

    state: EffectState
    provider_ref: str | None = None
    reason: str | None = None

    @property
    def was_sent(self) -> bool:
        """Tell whether the provider is known to have taken it."""
        return self.state in {EffectState.SENT, EffectState.CONFIRMED}


# Called off without having gone out: only such an effect has no moment of sending. What an operator
# stopped looking for has one, and may have gone out: it is never sent again.
_CALLED_OFF = "(effect.state = 'abandoned' AND effect.sending_at IS NULL)"
_UNSENT = f"(effect.state IN ('planned', 'not_sent') OR {_CALLED_OFF})"

PLAN = f"""
INSERT INTO effect (key, business_id, provider, job_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (key) DO UPDATE SET state = 'planned', reason = NULL, settled_at = NULL, job_id = excluded.job_id
WHERE {_CALLED_OFF}
"""  # noqa: S608 -- composed of constants
BEGIN = f"""
UPDATE effect SET state = 'sending', job_id = $2, token = $3, sending_at = now(), tries = tries + 1,
                  reason = NULL
WHERE key = $1 AND state IN ('planned', 'not_sent')
  AND EXISTS (SELECT FROM job WHERE id = $2 AND job.token = $3 AND {STILL_RUNS}
                AND job.lease_until > clock_timestamp())
RETURNING state, provider_ref, reason
"""  # noqa: S608 -- composed of constants
# Found as another run left it: whoever was sending is gone, and may or may not have succeeded.
INHERIT = """
UPDATE effect SET state = CASE WHEN state = 'sending' THEN 'unknown' ELSE state END,
                  reason = CASE WHEN state = 'sending' THEN 'the process that sent it ended' ELSE reason END
WHERE key = $1 RETURNING state, provider_ref, reason
"""
# What the provider itself said is evidence, whoever holds the job by now.
ACCEPTED = """
UPDATE effect SET state = 'sent', provider_ref = $2, reason = NULL, settled_at = now()
WHERE key = $1
  AND (state IN ('sending', 'unknown', 'not_sent') OR state = 'abandoned' AND sending_at IS NOT NULL)
"""
OWN_END = """
UPDATE effect SET state = $3, reason = $4, settled_at = CASE WHEN $3 = 'failed' THEN now() END
WHERE key = $1 AND token = $2 AND state = 'sending'
"""
PROVED_NOT_SENT = """
UPDATE effect SET state = 'not_sent', reason = $3 WHERE key = $1 AND token = $2 AND state = 'unknown'
"""
# What a person concluded, and even what the provider refused, gives way to proof that it went out.
SETTLE = """
UPDATE effect SET state = $2, provider_ref = coalesce($3, provider_ref), settled_at = now(),
                  reason = CASE WHEN $2 <> 'confirmed' THEN reason END
WHERE key = $1
  AND (state IN ('sending', 'unknown', 'not_sent')
       OR $2 = 'confirmed' AND (state = 'failed' OR state = 'abandoned' AND sending_at IS NOT NULL))
RETURNING key
"""
ABANDON = f"""
UPDATE effect SET state = 'abandoned', sending_at = NULL,
                  reason = CASE state WHEN 'abandoned' THEN reason ELSE $2 END,
                  settled_at = CASE state WHEN 'abandoned' THEN settled_at ELSE now() END
WHERE key = $1 AND {_UNSENT} RETURNING key
"""  # noqa: S608 -- composed of constants
# Of a job that nobody runs any more. What is still being sent may have gone out.
GIVE_UP = """
UPDATE effect SET state = CASE state WHEN 'sending' THEN 'unknown' ELSE 'abandoned' END,
                  reason = CASE state WHEN 'sending' THEN 'the process that sent it ended' ELSE $2 END,
                  settled_at = CASE WHEN state <> 'sending' THEN now() END,
                  sending_at = CASE state WHEN 'sending' THEN sending_at END
WHERE job_id = $1 AND state IN ('planned', 'not_sent', 'sending')
"""
READ = f"""
SELECT provider, state, provider_ref, reason, job_id, tries, {_UNSENT} AS is_unsent FROM effect WHERE key = $1
"""  # noqa: S608 -- composed of constants


@dataclass(frozen=True)
class Found:
    """An effect as it stands: `is_unsent` says that it did not go out and may still be sent.

    `tries` counts its sendings, the one that is going on included.
    """

    provider: str
    result: EffectResult
    job_id: str | None
    tries: int
    is_unsent: bool


async def plan_effect(session: Session, *, key: str, business_id: int, provider: str, job_id: str) -> None:
    """Write down, in the caller's transaction, that a job will send this; planning twice changes nothing.

    What was called off before it went out is planned anew.
    """
    await (await driver_of(session)).execute(PLAN, key, business_id, provider, job_id)


async def find_effect(session: Session, key: str) -> Found | None:
    """Return an effect as it stands, or None where none was planned."""
    row = await (await driver_of(session)).fetchrow(READ, key)
    if row is None:
        return None
    result = EffectResult(EffectState(row["state"]), row["provider_ref"], row["reason"])
    return Found(row["provider"], result, row["job_id"], row["tries"], row["is_unsent"])


async def give_up_effects(session: Session, job_id: str, *, reason: str) -> None:
    """Call off what a job had planned, once nobody runs it; what it was sending is unknown from now on."""
    await (await driver_of(session)).execute(GIVE_UP, job_id, reason)


async def settle_effect(
    session: Session, *, key: str, state: EffectState, provider_ref: str | None = None
) -> bool:
    """Record evidence from outside (a receipt, an echo); tell whether it settled an open effect."""
    return await (await driver_of(session)).fetchrow(SETTLE, key, state.value, provider_ref) is not None


async def abandon_effect(session: Session, *, key: str, reason: str) -> bool:
    """Call off, in the caller's transaction, what was not sent; tell whether it did not go out."""
    return await (await driver_of(session)).fetchrow(ABANDON, key, reason) is not None


async def inherit(connection: asyncpg.Connection, key: str) -> EffectResult:
    """Return an effect as runs before this one left it; one that was being sent is unknown from now on."""
    row = await connection.fetchrow(INHERIT, key)
    if row is None:
        raise LookupError(f"effect {key} was never planned")
    return EffectResult(EffectState(row["state"]), row["provider_ref"], row["reason"])


async def begin(connection: asyncpg.Connection, key: str, job_id: str, token: int) -> EffectResult:
    """Take the right to send: SENDING means go; any other state means it must not be sent now."""
    row = await connection.fetchrow(BEGIN, key, job_id, token)
    if row is None:
        return await inherit(connection, key)
    return EffectResult(EffectState(row["state"]), row["provider_ref"], row["reason"])


async def record_accepted(connection: asyncpg.Connection, key: str, provider_ref: str) -> None:
    """Record that the provider took it."""
    await connection.execute(ACCEPTED, key, provider_ref)


async def record_end(
    connection: asyncpg.Connection, key: str, token: int, state: EffectState, reason: str
) -> None:
    """Record that this run's sending was refused, did not happen, or cannot be known."""
    await connection.execute(OWN_END, key, token, state.value, reason)
    if state is EffectState.PLANNED:
        await connection.execute(PROVED_NOT_SENT, key, token, reason)
