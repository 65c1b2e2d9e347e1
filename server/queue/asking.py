"""Asking for a job: a row in the caller's transaction, dispatched once that commits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from server.db.session import Session, driver_of
from server.queue.kinds import KIND_OF

INSERT = "SELECT id, kind, queue, business_id, dispatch_no FROM ask_for_jobs($1::jsonb)"

# What is due later than at once is dispatched by the window.
A_MOMENT = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Changed:
    """A hint that rows of a business changed; never data. Pages read the rows again."""

    business_id: int
    topic: str
    id: UUID | str


@dataclass(frozen=True)
class StopJob:
    """RQ's command to the worker that runs a job; one that is lost is seen when the lease is renewed."""

    worker: str
    rq_id: str

    @property
    def channel(self) -> str:
        """Return where the worker listens for RQ's commands."""
        return f"rq:pubsub:{self.worker}"

    @property
    def command(self) -> bytes:
        """Return the command as RQ writes it."""
        return orjson.dumps({"command": "stop-job", "job_id": self.rq_id})


@dataclass(frozen=True)
class Dispatch:
    """One RQ job to be: it carries the id of a ledger row."""

    job_id: str
    kind: str
    queue: str
    business_id: int | None
    number: int
    # Its business's share was asked before it was written.
    has_place: bool = False

    @property
    def rq_id(self) -> str:
        """Return RQ's job id: the ledger's id and the number of this dispatch."""
        return f"{self.job_id}-{self.number}"


@dataclass(frozen=True)
class Held:
    """Jobs of a kind that were written as waiting, beyond their business's share; `job_id` is one of them."""

    kind: str
    count: int
    job_id: str

    def beside(self, other: Held | None) -> Held:
        """Return both as one, if there is another of this kind."""
        return self if other is None else replace(other, count=other.count + self.count)


@dataclass(frozen=True)
class Asked:
    """A job being asked for. `key` names the work when the payload's fields do not; `epoch` runs it again."""

    payload: object
    business_id: int | None
    lane: str | None = None
    due_in: timedelta = field(default_factory=timedelta)
    key: str | None = None
    epoch: int = 0

    def row(self) -> dict[str, Any]:
        """Return the ledger row, its id made from kind, business and business key."""
        kind = KIND_OF[type(self.payload)]
        encoded = kind.encode(self.payload)
        return {
            "id": job_id(kind.name, self.business_id, key=self.key or encoded, epoch=self.epoch),
            "business_id": self.business_id,
            "kind": kind.name,
            "version": kind.version,
            "payload": orjson.Fragment(encoded),
            "queue": kind.queue,
            "urgency": int(kind.urgency),
            "lane": self.lane,
            "due_in_s": self.due_in.total_seconds(),
            "expires_after_s": kind.expires_after_s,
        }


def job_id(kind: str, business_id: int | None, *, key: str, epoch: int = 0) -> str:
    """Return the deterministic id of a piece of work; letters, digits, `_` and `-` only, as RQ wants."""
    told = f"{kind}|{business_id or ''}|{key}|{epoch}".encode()
    return f"{kind}-{business_id or 'all'}-{hashlib.sha256(told).hexdigest()[:24]}"


async def enqueue(
    session: Session,
    payload: object,
    *,
    business_id: int | None = None,
    lane: str | None = None,
    due_in: timedelta = timedelta(),
    key: str | None = None,
) -> str:
    """Ask for a job within the caller's transaction; asking twice for the same work changes nothing."""
    asked = Asked(payload, business_id, lane=lane, due_in=due_in, key=key)
    session.outbox.extend(await insert(await driver_of(session), [asked]))
    return str(asked.row()["id"])


async def enqueue_all(session: Session, asked: Sequence[Asked]) -> None:
    """Ask for several jobs in one statement, as `enqueue` asks for one; they keep their order."""
    session.outbox.extend(await insert(await driver_of(session), asked))


async def leave_all(session: Session, asked: Sequence[Asked]) -> None:
    """Ask for a great many jobs: they wait in the ledger, from where each business's go out in turn.

    Put straight into a queue, all but a few of each would be taken back out of it, one by one.
    """
    waiting = [replace(one, due_in=max(one.due_in, A_MOMENT)) for one in asked]
    session.outbox.extend(await insert(await driver_of(session), waiting))


async def insert(connection: asyncpg.Connection, asked: Sequence[Asked]) -> list[Dispatch]:
    """Insert jobs and return a dispatch for each that is new and due; the transaction is the caller's."""
    rows = await connection.fetch(INSERT, orjson.dumps([one.row() for one in asked]).decode())
    return [dispatch_of(row) for row in rows if row["dispatch_no"]]


def dispatch_of(row: asyncpg.Record) -> Dispatch:
    """Build a dispatch from a row with id, kind, queue, business_id and dispatch_no."""
    return Dispatch(row["id"], row["kind"], row["queue"], row["business_id"], row["dispatch_no"])
