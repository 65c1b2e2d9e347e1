"""Accounts that are held until their owner acts: what is to go out through them waits, and none is lost.

A held account is called again now and then by one job, for its owner may have acted at the provider's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from server.db.session import Session, driver_of
from server.errors import HOLDS_ACCOUNT, Refusal
from server.queue.accounts import HOLD, HOLD_S, TRIPS, Account

OPEN = """
UPDATE provider_account SET failures = 0, closed_until = NULL, reason = NULL, held_at = NULL
WHERE provider = $1 AND name = $2
"""
HELD = "SELECT name, meaning, since FROM held_accounts($1, $2)"
# The end of a range: `;` comes right after the `:` that parts a channel from its chats.
WAKE = """
UPDATE job SET due_at = now()
WHERE state = 'ready' AND due_at > now() AND lane >= $1::text || ':' AND lane < $1::text || ';'
"""


@dataclass(frozen=True)
class Hold:
    """Since when an account is held, and what for."""

    meaning: Refusal
    since: datetime | None


async def hold_account(session: Session, account: Account, meaning: Refusal) -> None:
    """Hold an account of which evidence came otherwise than by an answer, such as by a status."""
    if meaning in HOLDS_ACCOUNT:
        driver = await driver_of(session)
        await driver.execute(HOLD, account.provider, account.name, f"held:{meaning}", TRIPS, HOLD_S)


async def open_account(session: Session, account: Account) -> None:
    """Let an account be called at once, whatever it was closed or held for."""
    await (await driver_of(session)).execute(OPEN, account.provider, account.name)


async def wake_lanes(session: Session, prefix: str) -> None:
    """Make what waits in the lanes `prefix:…` due at once."""
    await (await driver_of(session)).execute(WAKE, prefix)


async def read_holds(session: Session, provider: str, names: Sequence[str]) -> dict[str, Hold]:
    """Return those of these accounts that are held."""
    rows = await (await driver_of(session)).fetch(HELD, provider, list(names))
    return {row["name"]: Hold(Refusal(row["meaning"]), row["since"]) for row in rows}
