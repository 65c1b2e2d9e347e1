"""How a business wants its assistant: read anew for each reply, so that a change counts at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from server.domains.assistant.guards import TOOLS
from server.domains.assistant.hours import Shift, SpecialDays, exceptions_of

QUIET_S = 2.0
SESSION_IDLE_H = 24
DEFAULT_TIME_ZONE = "UTC"


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """In whose name the assistant answers, how, and what it may do; `now` is the business's local time.

    `language` is the business's own, for customers whose language is unclear. `monthly_cap_micro` and
    `spent_micro`, of this month, are in millionths of a US dollar; spent counts only where there is a cap.
    """

    name: str
    language: str
    time_zone: str = DEFAULT_TIME_ZONE
    now: datetime = field(default_factory=lambda: datetime.fromtimestamp(0, UTC))
    about: str = ""
    tone: str = ""
    instructions: str = ""
    hours: Mapping[str, Sequence[Shift]] = field(default_factory=dict)
    exceptions: Sequence[SpecialDays] = ()
    keeps_scope: bool = True
    tools: Sequence[str] = TOOLS
    needs_approval: bool = False
    quiet_s: float = QUIET_S
    session_idle_h: int = SESSION_IDLE_H
    monthly_cap_micro: int | None = None
    spent_micro: int = 0

    @property
    def is_capped(self) -> bool:
        """Tell whether no model may be asked until the month is over."""
        return self.monthly_cap_micro is not None and self.spent_micro >= self.monthly_cap_micro


def behaviour_of(row: Mapping[str, object]) -> Behaviour:
    """Return what a business's row says; what it leaves out has its default."""
    told = {name: value for name, value in row.items() if value is not None}
    now, zone = told.pop("now"), str(told["time_zone"])
    told["exceptions"] = exceptions_of(told.get("exceptions", ()))  # type: ignore[arg-type]
    return Behaviour(now=now.astimezone(ZoneInfo(zone)), **told)  # type: ignore[attr-defined, arg-type]
