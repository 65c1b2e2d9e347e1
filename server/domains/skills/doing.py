"""What each tool does, within one transaction; each returns what the model is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import singledispatch
from typing import Any
from zoneinfo import ZoneInfo

from server.clock import utc_now
from server.db import Session
from server.domains import contacts, reminders
from server.domains.assistant import Occasion
from server.domains.skills.catalog import HandOverToPerson, SaveContactDetails, SetReminder, UpdateLead
from server.errors import BadInputError

ACTOR = "assistant"
SOURCE = "whatsapp"
FURTHEST = timedelta(days=366)


@singledispatch
async def do(wanted: Any, _session: Session, _occasion: Occasion) -> str:
    """Do what a tool is for and say what was done; raise BadInputError where it cannot be."""
    raise TypeError(f"there is no doing for {type(wanted).__name__}")


@do.register
async def _(wanted: SaveContactDetails, session: Session, occasion: Occasion) -> str:
    told = {name: value for name, value in vars(wanted).items() if value}
    await contacts.save_details(session, occasion.contact_id, actor=ACTOR, **told)
    return "Saved: " + ", ".join(f"{name} {value}" for name, value in told.items()) + "."


@do.register
async def _(wanted: UpdateLead, session: Session, occasion: Occasion) -> str:
    try:
        lead = await contacts.bring_lead(
            session,
            occasion.contact_id,
            source=SOURCE,
            actor=ACTOR,
            stage=wanted.stage,
            note=wanted.note,
        )
    except BadInputError as error:
        if error.code != "no_such_stage":
            raise
        stages = await contacts.open_stages(session, occasion.business_id)
        names = ", ".join(stage.name for stage in stages)
        raise BadInputError(error.code, f"There is no such stage. The stages are: {names}.") from None
    done = [f"Noted: {wanted.note}"] if wanted.note else []
    return " ".join([*done, f"The lead's stage is {lead.stage}."])


@do.register
async def _(wanted: SetReminder, session: Session, occasion: Occasion) -> str:
    due_at = _moment(wanted.at, occasion.time_zone)
    await reminders.set_reminder(
        session,
        occasion.business_id,
        text=wanted.text,
        due_at=due_at,
        by=ACTOR,
        conversation_id=occasion.conversation_id,
    )
    local = due_at.astimezone(ZoneInfo(occasion.time_zone))
    return f"The business will be reminded on {local:%A %Y-%m-%d at %H:%M}: {wanted.text}"


@do.register
async def _(wanted: HandOverToPerson, _session: Session, _occasion: Occasion) -> str:
    return wanted.reason


def _moment(written: str, zone: str) -> datetime:
    try:
        moment = datetime.fromisoformat(written)
        at = (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInputError("bad_due_time", "`at` must be as 2026-01-31T09:30.") from None
    if at > utc_now() + FURTHEST:
        raise BadInputError("bad_due_time", "A reminder is set for the next twelve months.")
    return at
