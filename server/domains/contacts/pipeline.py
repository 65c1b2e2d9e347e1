"""A business's own pipeline: its stages, made when they are first needed, changed by its people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from server.db import Session, text
from server.errors import BadInputError
from server.queue import enqueue
from server.queue.catalog import LeadsMoved

MOST_STAGES = 20
LONGEST_STAGE = 60
SORTS = ("open", "won", "lost")
COLOURS = ("grey", "blue", "green", "yellow", "orange", "red", "purple")
DEFAULTS = {
    "he": ("חדש", "בשיחה", "הצעה נשלחה", "נסגר בהצלחה", "לא רלוונטי"),
    "en": ("New", "In contact", "Offer sent", "Won", "Lost"),
}
DEFAULT_SORTS = ("open", "open", "open", "won", "lost")
DEFAULT_COLOURS = ("blue", "yellow", "orange", "green", "grey")

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('lead_stage', :business_id))"
LANGUAGE = "SELECT language FROM business WHERE id = :business_id ORDER BY id LIMIT 1"
STAGES = """
SELECT id, name, sort, colour, place, archived_at IS NOT NULL AS is_archived FROM lead_stage
WHERE business_id = :business_id ORDER BY place, id LIMIT 200
"""
ADD = """
INSERT INTO lead_stage (business_id, name, sort, colour, place)
VALUES (:business_id, :name, :sort, :colour, :place) RETURNING id
"""
CHANGE = "UPDATE lead_stage SET name = :name, sort = :sort, colour = :colour WHERE id = :id"
PLACE = "UPDATE lead_stage SET place = :place WHERE id = :id"
ARCHIVE = "UPDATE lead_stage SET archived_at = now() WHERE id = :id"
MOVE_LEADS = """
WITH held AS MATERIALIZED (SELECT id FROM lead WHERE stage_id = :id ORDER BY id FOR NO KEY UPDATE),
moved AS (
    UPDATE lead SET stage_id = :to_id, stage_at = now()
    WHERE id IN (SELECT id FROM held) RETURNING business_id, contact_id),
noted AS (
    INSERT INTO lead_activity (business_id, contact_id, kind, actor, data)
    SELECT business_id, contact_id, 'stage', :actor,
           jsonb_build_object('from', cast(:old AS text), 'to', cast(:new AS text))
    FROM moved RETURNING position)
SELECT min(position) AS first, max(position) AS last FROM noted
"""


@dataclass(frozen=True)
class Stage:
    """A step of the pipeline; `sort` is open, won or lost."""

    id: UUID
    name: str
    sort: str
    colour: str
    place: int
    is_archived: bool = False


async def all_stages(session: Session, business_id: int) -> list[Stage]:
    """Return every stage in order, archived ones too; the default ones are made if there is none."""
    rows = (await session.execute(text(STAGES), {"business_id": business_id})).all()
    if not rows:
        await _make_defaults(session, business_id)
        rows = (await session.execute(text(STAGES), {"business_id": business_id})).all()
    return [Stage(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


async def open_stages(session: Session, business_id: int) -> list[Stage]:
    """Return the stages that a lead can be moved to, in order."""
    return [stage for stage in await all_stages(session, business_id) if not stage.is_archived]


def first_of(stages: Sequence[Stage]) -> Stage:
    """Return where a lead begins: the first open stage."""
    return next((stage for stage in stages if stage.sort == "open" and not stage.is_archived), stages[0])


async def find_stage(session: Session, business_id: int, told: str | UUID) -> Stage:
    """Return a stage by its id or its name in any case; raise BadInputError `no_such_stage`."""
    wished = str(told).strip().casefold()
    for stage in await open_stages(session, business_id):
        if wished in {str(stage.id), stage.name.casefold()}:
            return stage
    raise BadInputError("no_such_stage", "There is no such stage in this pipeline.")


async def add_stage(session: Session, business_id: int, *, name: str, sort: str, colour: str) -> UUID:
    """Add a stage at the end; raise BadInputError `bad_stage`, `stage_exists` or `too_many_stages`."""
    await session.execute(text(LOCK), {"business_id": business_id})
    stages = await all_stages(session, business_id)
    if sum(not stage.is_archived for stage in stages) >= MOST_STAGES:
        raise BadInputError("too_many_stages", f"A pipeline has at most {MOST_STAGES} stages.")
    told = _checked(stages, name, sort, colour)
    place = max(stage.place for stage in stages) + 1
    made: UUID = (
        await session.execute(
            text(ADD),
            {"business_id": business_id, "name": told, "sort": sort, "colour": colour, "place": place},
        )
    ).scalar_one()
    return made


async def change_stage(
    session: Session, business_id: int, stage_id: UUID, *, name: str, sort: str, colour: str
) -> None:
    """Rename or repaint a stage; raise BadInputError as `add_stage`, or `last_open_stage`."""
    stages = await _locked(session, business_id)
    stage = _one(stages, stage_id)
    others = [other for other in stages if other.id != stage_id]
    told = _checked(others, name, sort, colour)
    if sort != "open":
        _require_open(others)
    await session.execute(text(CHANGE), {"id": stage.id, "name": told, "sort": sort, "colour": colour})


async def shift_stage(session: Session, business_id: int, stage_id: UUID, *, by: int) -> None:
    """Move a stage one place towards the beginning (-1) or the end (1); at the edge nothing changes."""
    stages = [stage for stage in await _locked(session, business_id) if not stage.is_archived]
    at = stages.index(_one(stages, stage_id))
    to = min(max(at + by, 0), len(stages) - 1)
    stages.insert(to, stages.pop(at))
    for place, stage in enumerate(stages):
        await session.execute(text(PLACE), {"id": stage.id, "place": place})


async def archive_stage(
    session: Session, business_id: int, stage_id: UUID, *, move_to: UUID, actor: str
) -> None:
    """Take a stage out of the pipeline and move its leads; a job tells endpoints of each.

    Raises BadInputError `last_open_stage` where no open one would be left, `no_such_stage` where they
    cannot go there.
    """
    stages = await _locked(session, business_id)
    stage = _one(stages, stage_id)
    others = [other for other in stages if other.id != stage_id and not other.is_archived]
    _require_open(others)
    to = _one(others, move_to)
    told = {"id": stage.id, "to_id": to.id, "actor": actor, "old": stage.name, "new": to.name}
    moves = (await session.execute(text(MOVE_LEADS), told)).one()
    await session.execute(text(ARCHIVE), {"id": stage.id})
    if moves.first is not None:
        await enqueue(session, LeadsMoved(moves.first, moves.last), business_id=business_id)


async def _make_defaults(session: Session, business_id: int) -> None:
    stages = await _locked_rows(session, business_id)
    if stages:
        return
    language = await session.scalar(text(LANGUAGE), {"business_id": business_id})
    names = DEFAULTS.get(language or "he", DEFAULTS["he"])
    for place, (name, sort, colour) in enumerate(zip(names, DEFAULT_SORTS, DEFAULT_COLOURS, strict=True)):
        await session.execute(
            text(ADD),
            {"business_id": business_id, "name": name, "sort": sort, "colour": colour, "place": place},
        )


async def _locked_rows(session: Session, business_id: int) -> int:
    await session.execute(text(LOCK), {"business_id": business_id})
    return len((await session.execute(text(STAGES), {"business_id": business_id})).all())


async def _locked(session: Session, business_id: int) -> list[Stage]:
    await session.execute(text(LOCK), {"business_id": business_id})
    return await all_stages(session, business_id)


def _one(stages: Sequence[Stage], stage_id: UUID) -> Stage:
    for stage in stages:
        if stage.id == stage_id and not stage.is_archived:
            return stage
    raise BadInputError("no_such_stage", "There is no such stage in this pipeline.")


def _require_open(stages: Sequence[Stage]) -> None:
    if not any(stage.sort == "open" and not stage.is_archived for stage in stages):
        raise BadInputError("last_open_stage", "A pipeline needs one open stage, where new leads begin.")


def _checked(others: Sequence[Stage], name: str, sort: str, colour: str) -> str:
    told = " ".join(name.split())[:LONGEST_STAGE]
    if not told or sort not in SORTS or colour not in COLOURS:
        raise BadInputError("bad_stage", "A stage needs a name, a sort and a colour.")
    if any(other.name.casefold() == told.casefold() and not other.is_archived for other in others):
        raise BadInputError("stage_exists", "There is a stage of this name already.")
    return told
