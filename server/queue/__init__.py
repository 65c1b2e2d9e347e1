"""Asking for work, and the ledger that makes it happen once."""

from server.queue import catalog, holds
from server.queue.accounts import Account
from server.queue.aftermath import GivenUp, conclude, is_left
from server.queue.asking import Asked, Changed, Dispatch, enqueue, enqueue_all, leave_all
from server.queue.effects import (
    EffectResult,
    EffectState,
    abandon_effect,
    find_effect,
    give_up_effects,
    plan_effect,
    settle_effect,
)
from server.queue.kinds import AFTERMATHS, HANDLERS, KINDS, gives_up, handles
from server.queue.run import Run

__all__ = [
    "AFTERMATHS",
    "HANDLERS",
    "KINDS",
    "Account",
    "Asked",
    "Changed",
    "Dispatch",
    "EffectResult",
    "EffectState",
    "GivenUp",
    "Run",
    "abandon_effect",
    "catalog",
    "conclude",
    "enqueue",
    "enqueue_all",
    "find_effect",
    "give_up_effects",
    "gives_up",
    "handles",
    "holds",
    "is_left",
    "leave_all",
    "plan_effect",
    "settle_effect",
]
