"""What a business sets for its assistant, and what that did and cost so far: what its settings page needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from server.db import Session
from server.domains.assistant import hours, pages
from server.domains.assistant.behaviour import Behaviour, behaviour_of
from server.domains.assistant.guards import TOOLS
from server.domains.assistant.queries import read_behaviour
from server.errors import BadInputError

LONGEST_TEXT = 4_000
MICRO = 1_000_000
MOST_QUIET_S = 60.0
MOST_IDLE_H = 720
MOST_CAP_USD = 100_000.0
MOST_NOTICES = 20


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A settings page as it was filled in: texts as typed, `times` by weekday."""

    about: str = ""
    tone: str = ""
    instructions: str = ""
    times: Mapping[str, str] = field(default_factory=dict)
    exceptions: str = ""
    keeps_scope: bool = True
    tools: Sequence[str] = TOOLS
    needs_approval: bool = False
    quiet_s: str = ""
    session_idle_h: str = ""
    monthly_cap_usd: str = ""


@dataclass(frozen=True)
class Notice:
    """What the owner should know; `conversation_id` is where it happened last."""

    id: UUID
    kind: str
    times: int
    detail: str
    last_at: datetime
    conversation_id: UUID | None


@dataclass(frozen=True)
class Spending:
    """What models took in this month; cost in millionths of a US dollar."""

    replies: int
    input_tokens: int
    output_tokens: int
    cost_micro: int


async def read_settings(session: Session, business_id: int) -> Behaviour:
    """Return how a business wants its assistant, with the defaults for what it never said."""
    return behaviour_of(await read_behaviour(session, business_id))


async def save_settings(session: Session, business_id: int, wanted: Wanted) -> None:
    """Keep a settings page; it counts from the next message on.

    Raises BadInputError `bad_hours`, `bad_number` or `too_long`, and keeps nothing.
    """
    texts = {name: getattr(wanted, name).replace("\x00", "").strip() for name in pages.TEXTS}
    if any(len(text) > LONGEST_TEXT for text in texts.values()):
        raise BadInputError("too_long", f"A text is longer than {LONGEST_TEXT} characters.")
    week = {day: hours.read_times(wanted.times.get(day, "")) for day in hours.DAYS}
    cap = _number(wanted.monthly_cap_usd, most=MOST_CAP_USD)
    quiet_s = _number(wanted.quiet_s, most=MOST_QUIET_S)
    idle_h = _number(wanted.session_idle_h, most=MOST_IDLE_H)
    await pages.upsert_settings(
        session,
        business_id,
        texts
        | {
            # Seven empty days are nobody's hours: nothing is said of them then.
            "hours": week if any(week.values()) else {},
            "exceptions": hours.read_exceptions(wanted.exceptions),
            "keeps_scope": wanted.keeps_scope,
            "tools": [tool for tool in TOOLS if tool in wanted.tools],
            "needs_approval": wanted.needs_approval,
            "quiet_s": 2.0 if quiet_s is None else quiet_s,
            "session_idle_h": max(1, round(24 if idle_h is None else idle_h)),
            "monthly_cap_micro": None if cap is None else round(cap * MICRO),
        },
    )


async def list_notices(session: Session, business_id: int) -> list[Notice]:
    """Return what its owner has not put away yet, the newest first."""
    return [Notice(**row) for row in await pages.read_notices(session, business_id, limit=MOST_NOTICES)]


async def put_notices_away(session: Session, business_id: int) -> None:
    """Note that the owner has read what there was."""
    await pages.mark_notices_seen(session, business_id)


async def read_spending(session: Session, business_id: int) -> Spending:
    """Return what models took since the month began, by the business's own calendar."""
    return Spending(**await pages.read_spending(session, business_id))


def _number(written: str, *, most: float) -> float | None:
    """Return a number of a form, None where none was written."""
    text = written.strip().replace(",", ".")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise BadInputError("bad_number", f"{written.strip()[:40]} is no number from 0 to {most:g}.")
    return number
