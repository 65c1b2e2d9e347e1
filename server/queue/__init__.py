"""Asking for work, and the ledger that makes it happen once."""

from server.queue import catalog
from server.queue.accounts import Account
from server.queue.asking import Asked, Changed, Dispatch, enqueue
from server.queue.effects import EffectResult, EffectState, abandon_effect, plan_effect, settle_effect
from server.queue.kinds import HANDLERS, KINDS, handles
from server.queue.run import Run

__all__ = [
    "HANDLERS",
    "KINDS",
    "Account",
    "Asked",
    "Changed",
    "Dispatch",
    "EffectResult",
    "EffectState",
    "Run",
    "abandon_effect",
    "catalog",
    "enqueue",
    "handles",
    "plan_effect",
    "settle_effect",
]
