"""What a slice of a file of leads comes to: the rows in their order, and all they change. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import orjson

from server.domains.contacts.consenting import LONGEST_WORDING, WITHDRAWN
from server.domains.contacts.form_fields import CONSENT, Written, read_fields
from server.domains.contacts.intents import answer_in
from server.domains.contacts.pipeline import Stage, first_of
from server.domains.contacts.rules import normalise_email, normalise_phone, presentable_name

IMPORT = "import"
LONGEST_SOURCE = 100
LONGEST_CITY = 200
NO_NAMES = "no_names"
BAD_PHONE = "bad_phone"
# Why a row was not taken.
ROW_FAULTS = (NO_NAMES, BAD_PHONE)


@dataclass(frozen=True)
class Told:
    """What a row says; `key` is the same for the same words, `fault` why it cannot be taken.

    A phone names its person, an address one who has no phone in the file.
    """

    id: UUID
    written: Written
    name: str | None
    phone: str | None
    email: str | None
    key: str
    fault: str | None
    consent: str | None = None

    @property
    def who(self) -> tuple[str, str]:
        """Return the name by which the row's person is found."""
        return ("phone", self.phone) if self.phone else ("email", self.email or "")

    @property
    def source(self) -> str:
        """Return what a lead of this row came from."""
        return " ".join(self.written.source.split())[:LONGEST_SOURCE] or IMPORT


@dataclass
class Someone:
    """A contact and their lead, as they stand and as the rows leave them; no `lead_id` means no lead."""

    id: UUID
    name: str | None = None
    email: str | None = None
    city: str | None = None
    lead_id: UUID | None = None
    stage_id: UUID | None = None
    stage: str | None = None
    phone: str | None = None
    source: str = IMPORT
    consent: str | None = None
    is_new: bool = False
    is_filled: bool = False
    is_new_lead: bool = False
    is_moved: bool = False
    is_touched: bool = False


@dataclass(frozen=True)
class Move:
    """A lead that a row moved, by the id of the activity that says so."""

    activity_id: UUID
    lead_id: UUID
    contact_id: UUID
    old: str
    new: str


@dataclass
class Plan:
    """What a slice changes: people, what happened to them in order, and what became of each row."""

    people: list[Someone] = field(default_factory=list)
    activities: list[dict[str, Any]] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    consents: list[dict[str, Any]] = field(default_factory=list)
    ends: list[dict[str, Any]] = field(default_factory=list)


def read_row(row_id: UUID, fields: Mapping[str, str], country: str) -> Told:
    """Read a row's fields once: what is a phone here, what an address, what a yes or a no."""
    written = read_fields(fields)
    phone, email = normalise_phone(written.phone, country), normalise_email(written.email)
    fault = None
    if phone is None and email is None:
        fault = BAD_PHONE if written.phone or written.email else NO_NAMES
    # The same row of another file, or of this one once more, says nothing new.
    digest = hashlib.sha256(orjson.dumps(dict(fields), option=orjson.OPT_SORT_KEYS)).hexdigest()
    name = presentable_name(written.name)
    consent = answer_in(fields.get(CONSENT, ""))
    return Told(row_id, written, name, phone, email, key=f"import:{digest}", fault=fault, consent=consent)


def plan(
    rows: Sequence[Told],
    known: Mapping[tuple[str, str], Someone],
    *,
    told_before: set[str],
    stages: Sequence[Stage],
    file_name: str,
) -> Plan:
    """Take the rows one after another; a later row of the same person adds to what an earlier one said.

    `known` are those who have a row's phone or address, `told_before` the keys of rows taken already,
    `stages` those that a lead can be moved to.
    """
    planner = _Planner(known, told_before, stages, file_name)
    for row in rows:
        planner.take(row)
    return planner.plan


class _Planner:
    def __init__(
        self,
        known: Mapping[tuple[str, str], Someone],
        told_before: set[str],
        stages: Sequence[Stage],
        file_name: str,
    ) -> None:
        self.plan = Plan()
        self._known = dict(known)
        self._told = set(told_before)
        self._stages = {name: stage for stage in stages for name in (str(stage.id), stage.name.casefold())}
        self._first = first_of(stages)
        self._file_name = file_name

    def take(self, row: Told) -> None:
        if row.fault is not None:
            self._end(row, "bad")
            return
        if row.key in self._told:
            self._end(row, "known")
            return
        self._told.add(row.key)
        someone = self._find(row)
        data = {"form": self._file_name} | dict(row.written.others)
        self._happened(someone, IMPORT, data, words=row.written.message or None, key=row.key)
        self._fill_in(someone, row)
        self._touch(someone, row)
        self._agree(someone, row)
        stage = self._stages.get(row.written.stage.strip().casefold())
        if stage is not None and stage.id != someone.stage_id:
            self._move(someone, stage)
        self._end(row, "added")

    def _find(self, row: Told) -> Someone:
        someone = self._known.get(row.who)
        if someone is None:
            someone = Someone(uuid4(), name=row.name, phone=row.phone, is_new=True)
            self._known[row.who] = someone
        if not someone.is_touched:
            someone.is_touched = True
            self.plan.people.append(someone)
        return someone

    def _fill_in(self, someone: Someone, row: Told) -> None:
        """Add what is missing; what is known stays."""
        if someone.name is None and row.name is not None:
            someone.name, someone.is_filled = row.name, True
        city = " ".join(row.written.city.split())[:LONGEST_CITY] or None
        fields = []
        if someone.city is None and city is not None:
            someone.city = city
            fields.append("city")
        if someone.email is None and row.email is not None:
            someone.email = row.email
            fields.append("email")
            self._known.setdefault(("email", row.email), someone)
        if fields:
            someone.is_filled = True
            self._happened(someone, "details", {"fields": fields})

    def _touch(self, someone: Someone, row: Told) -> None:
        if someone.lead_id is None:
            someone.lead_id, someone.is_new_lead, someone.source = uuid4(), True, row.source
            self._happened(someone, "created", {"source": row.source})
        if someone.stage_id is None:
            someone.stage_id, someone.stage = self._first.id, self._first.name
            someone.is_moved = True

    def _agree(self, someone: Someone, row: Told) -> None:
        """Note what the row says of marketing: a yes of a file never overrules somebody's no."""
        if row.consent is None or someone.consent in {row.consent, WITHDRAWN}:
            return
        someone.consent = row.consent
        wording = row.written.others.get(CONSENT, "")[:LONGEST_WORDING]
        told = {"contact_id": someone.id, "value": row.consent, "wording": wording, "key": row.key}
        self.plan.consents.append(told)
        self._happened(someone, "consent", {"value": row.consent})

    def _move(self, someone: Someone, stage: Stage) -> None:
        old = someone.stage or self._first.name
        moved = self._happened(someone, "stage", {"from": old, "to": stage.name})
        if someone.lead_id is not None:
            self.plan.moves.append(Move(moved, someone.lead_id, someone.id, old, stage.name))
        someone.stage_id, someone.stage, someone.is_moved = stage.id, stage.name, True

    def _happened(
        self,
        someone: Someone,
        kind: str,
        data: Mapping[str, Any],
        *,
        words: str | None = None,
        key: str | None = None,
    ) -> UUID:
        activity_id = uuid4()
        self.plan.activities.append(
            {
                "id": activity_id,
                "contact_id": someone.id,
                "kind": kind,
                "text": words,
                "data": data,
                "key": key,
            }
        )
        return activity_id

    def _end(self, row: Told, state: str) -> None:
        self.plan.ends.append({"id": row.id, "state": state, "reason": row.fault})
